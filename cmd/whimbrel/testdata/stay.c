// A program without anything around it, that gives itself a name and stays. Native code runs it from memory, where no wall knows of it.
static long call(long number, long first, long second) {
#if defined(__x86_64__)
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
	return result;
#else
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = first, x1 __asm__("x1") = second;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
#endif
}

#if defined(__x86_64__)
enum { nanosleep_number = 35, prctl_number = 157 };
#else
enum { nanosleep_number = 101, prctl_number = 167 };
#endif

void _start(void) {
	long second[2] = {1, 0};
	call(prctl_number, 15 /* PR_SET_NAME */, (long)NAME);
	for (;;) call(nanosleep_number, (long)second, 0);
}

#define _GNU_SOURCE
// What native code tries that SQL has brought into a server. What worked is written to the file "report"; a child that has detached itself
// lives on.
#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static FILE *report;

static int holds(const char *path, const char *word) {
	char text[65536];
	FILE *f = fopen(path, "r");
	if (!f) return 0;
	size_t n = fread(text, 1, sizeof text, f), length = strlen(word);
	fclose(f);
	for (size_t i = 0; i + length <= n; i++)
		if (!memcmp(text + i, word, length)) return 1;
	return 0;
}

static void worked(int yes, const char *what) {
	if (yes) fprintf(report, "%s ", what);
}

static int environments(void) {
	char path[300];
	int found = 0;
	DIR *all = opendir("/proc");
	for (struct dirent *entry; all && (entry = readdir(all));) {
		snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
		found |= holds(path, CANARY);
	}
	if (all) closedir(all);
	return found;
}

static int dials(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = FOLDER "/.s.PGSQL.5432"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	int yes = s >= 0 && !connect(s, (struct sockaddr *)&address, sizeof address);
	close(s);
	return yes;
}

static int sends(void) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	int yes = s >= 0 && sendto(s, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1;
	close(s);
	return yes;
}

static int writes(void) {
	FILE *f = fopen(FOLDER "/outside/native", "w");
	if (f) fclose(f);
	return f != NULL;
}

__asm__(".section .rodata\n.global stay_program\nstay_program: .incbin \"" PROGRAM "\"\n"
	".global stay_end\nstay_end: .byte 0\n.previous\n");
extern const char stay_program[], stay_end[];

// remembered gives a program that no file system has; -1 where there is none to be had.
static int remembered(void) {
	int program = memfd_create("stay", MFD_CLOEXEC);
	if (program >= 0 && write(program, stay_program, stay_end - stay_program) != stay_end - stay_program) return -1;
	return program;
}

static void stay(int program) {
	if (fork() != 0) return;
	setsid();
	if (fork() != 0) _exit(0);
	if (program >= 0) {
		char *arguments[] = {NAME, NULL}, *environment[] = {NULL};
		fexecve(program, arguments, environment);
	}
	prctl(PR_SET_NAME, NAME);
	for (;;) sleep(1);
}

__attribute__((constructor)) static void begin(void) {
	report = fopen("report", "w");
	if (!report) return;
	worked(holds(FOLDER "/canary", CANARY), "native_file");
	worked(environments(), "native_environment");
	worked(writes(), "native_write");
	worked(system("true") == 0, "native_program");
	worked(dials(), "native_socket");
	worked(sends(), "native_datagram");
	int program = remembered();
	worked(program >= 0, "native_memory");
	fclose(report);
	stay(-1);
	stay(program);
}

# Ends the server of a folder when nobody needs it any more, and removes the folder.
#
#   caretaker.sh FOLDER IDLE KEPT < FOLDER/watch
#
# FOLDER/watch is a named pipe. Every user of the server holds it open for
# writing: reading meets the end exactly while there is none, however they ended.
# Who comes says so with a word. Who leaves a database for a look says "kept".
# FOLDER/door is another name of the pipe, by which users find it. IDLE and KEPT
# are the seconds that the server outlives its last user.
folder=$1 idle=$2 kept=$3
wait=$idle
quiet=

heard() {
	quiet=
	if [ "$1" = kept ]; then wait=$kept; fi
}

while :; do
	if read -r word; then
		heard "$word"
	elif [ -z "$quiet" ]; then
		quiet=yes
		sleep "$wait"
	else # and nobody has come since
		break
	fi
done

# Nobody comes in any more. Who did in the last moment is still served.
rm -f "$folder/door"
wait=
while read -r word; do heard "$word"; done
if [ -n "$wait" ]; then sleep "$wait"; fi

# The number of the server's process may long belong to another program.
serves() {
	[ -n "$pid" ] && { cat "/proc/$pid/cmdline" 2>/dev/null || ps -ww -o command= -p "$pid" 2>/dev/null; } | grep -q -F -e "$folder/"
}

for file in "$folder"/postgres/*/data/postmaster.pid; do
	pid=$(head -n 1 "$file" 2>/dev/null)
	tries=0
	while serves && [ $tries -lt 10 ]; do
		kill -QUIT "$pid" 2>/dev/null
		sleep 1
		tries=$((tries + 1))
	done
done
rm -rf "$folder"

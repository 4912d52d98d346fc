/*
 * The lease, as a model that is checked in every interleaving.
 *
 * What is here is what lease.go, record.go, nontransactional.go and reconnect.go say to
 * the server, and what a server makes of it. docs/lease.md explains the protocol
 * and what the check proves; lease_test.go runs it.
 *
 * There are no clocks, because safety must not rest on them: a lease may run out
 * at any moment (a clock that is wrong, a renewal that is late), and what a
 * runner's own clock says may be wrong in any way, so here it says nothing. A
 * pause needs no words either: between any two steps of a process, all the
 * others may take as many as they like.
 *
 * Whatever goes wrong is paid from one budget, FAULTS, so every history is
 * finite: who waits for ever is in an invalid end state.
 *
 * Switches that leave out a safeguard; each must let the checker find what that
 * safeguard is for:
 *   NO_FENCE           the token is proved at the start, and the row not held
 *   NO_RETIREMENT      a successor does not end the sessions of older tokens
 *   NO_WAITING         it ends them, but does not wait until they are gone
 *   EXPIRY_ONLY        a lock that runs out, and nothing else
 *   RELEASE_ANY        giving back does not ask whether the lease is still ours
 *   GIVE_BACK          a successor that could not end older sessions gives back
 *   REJOIN_SAME_TOKEN  a run that lost its connection goes on with its old token
 *   NAMELESS           a statement outside transactions hides its session's name
 *
 * Surroundings:
 *   POOLED             no session can be told from another: fence and time remain
 *   TIMELY             clocks agree within the margin, nobody pauses between
 *                      asking his clock and sending, and what has to be cancelled
 *                      ends within the margin
 *   FENCED_ONLY        no migration has a statement outside transactions
 *   OPERATOR           somebody calls `whimbrel lock release` once
 *
 * And two that ask the checker for something else:
 *   PROGRESS           the formula at the end
 *   WITNESS            an error that is to be found: a history in which all the
 *                      faults happened and the work is done nevertheless
 */

#ifndef RUNNERS
#define RUNNERS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define NOBODY 255

/* Enough for the runners, and for whatever costs a runner his session: a fault,
 * a successor, the operator. That it is enough, open asserts. */
#define SESSIONS 6

/* The migrations, in order: one that is a transaction, and a chain with a
 * statement that cannot be in one. */
#ifdef FENCED_ONLY
#define MIGRATIONS 1
#else
#define MIGRATIONS 2
#endif
#define CHAIN 1

mtype = { nothing, transaction, begun, statement, finish, release, done, refused };

/* A session is a backend of the server, with the connection that leads to it. */
typedef Session {
	bool up;         /* the backend is in pg_stat_activity */
	bool abandoned;  /* nobody is at the other end of the connection any more */
	bool terminated; /* somebody called pg_terminate_backend */
	bool alone;      /* a statement outside transactions is being executed */
	byte name;       /* the token in application_name; 0: none */
	byte token;      /* the token that the message speaks of */
	byte fence;      /* the token of the transaction under way; 0: none */
	mtype message = nothing;
	mtype answer = nothing
}
Session session[SESSIONS];
byte sessions; /* that were opened */

/* The row of migration_lock, and how many transactions hold it FOR KEY SHARE. */
bool locked;
bool expired; /* expires_at < clock_timestamp() */
byte token;
byte holder = NOBODY; /* backend_pid and backend_start */
byte fences;

/* The runners, and what may still befall them. */
byte faults = FAULTS;
byte uses[RUNNERS] = NOBODY; /* whose session is whose */
bool killed[RUNNERS];
bool ended[RUNNERS];

/* What the properties speak of. */
byte working;              /* the highest token whose runner began to work */
bool recorded[MIGRATIONS]; /* the rows of the history */

#define CONNECTED(s) (session[s].up && !session[s].abandoned)
#define OLDER(s, bound) (session[s].up && session[s].name != 0 && session[s].name < bound)
#define OLDER_THAN(bound) (OLDER(0, bound) || OLDER(1, bound) || OLDER(2, bound) || OLDER(3, bound) || OLDER(4, bound) || OLDER(5, bound))

/* When takeQuery finds the row. */
#if defined(EXPIRY_ONLY)
#define TAKEABLE (!locked || expired)
#elif defined(POOLED)
#define TAKEABLE (fences == 0 && (!locked || expired))
#elif defined(NO_FENCE)
#define TAKEABLE (!locked || expired || !session[holder].up)
#else
#define TAKEABLE (fences == 0 && (!locked || expired || !session[holder].up))
#endif

/* What the fence asks, which comes first in every transaction. */
#if defined(EXPIRY_ONLY)
#define PROVED(t) true
#else
#define PROVED(t) (locked && token == t)
#endif

#ifdef POOLED
#define NAME skip
#else
#define NAME session[s].name = mine
#endif

inline open() {
#ifdef RELEASE_ANY
	sessions < SESSIONS; /* runners throw each other out without end */
#endif
	assert(sessions < SESSIONS);
	s = sessions;
	sessions++;
	session[s].up = true;
	uses[id] = s
}

/* own makes the row this runner's, with a token that nobody had before: the
 * only place that changes it (P3). */
inline own() {
	assert(token < 254);
	token++;
	mine = token;
	locked = true;
	expired = false;
	holder = s;
	NAME
}

inline reply(what) {
	session[s].message = nothing;
	session[s].answer = what
}

/* record inserts a row into the history, which must not be there (P5). */
inline record(migration) {
	assert(!recorded[migration]);
	recorded[migration] = true
}

/* nobodyAlone holds while no statement is under way outside transactions. */
inline nobodyAlone() {
	i = 0;
	do
	:: i < SESSIONS -> assert(!session[i].alone); i++
	:: else -> i = 0; break
	od
}

inline terminateOlder(bound) {
	i = 0;
	do
	:: i < SESSIONS ->
		if
		:: OLDER(i, bound) -> session[i].terminated = true
		:: else
		fi;
		i++
	:: else -> i = 0; break
	od
}

/* send puts a message on its way and waits for what becomes of it. */
inline send(what) {
	atomic {
		if
#ifdef TIMELY
		:: what == statement && !(PROVED(mine) && !expired) -> goto superseded
#endif
		:: !CONNECTED(s) -> goto lost
		:: else -> session[s].token = mine; session[s].message = what
		fi
	}
	if
	:: atomic { CONNECTED(s) && session[s].answer == done -> session[s].answer = nothing }
	:: atomic { CONNECTED(s) && session[s].answer == refused -> session[s].answer = nothing; goto superseded }
	:: atomic { !CONNECTED(s) -> goto lost }
	fi
}

/* A process that runs `whimbrel up`, and runs it again when another runner has
 * taken its lease. */
proctype runner(byte id) {
	byte s, mine, next, i;
	bool taken; /* from somebody who had not given it back */
	{
		mine = 0;
again:
		atomic { open() }
		if /* to ask again and again is to wait until it works */
		:: atomic { CONNECTED(s) && TAKEABLE -> taken = locked; own() }
		:: atomic { !CONNECTED(s) -> goto leave }
		fi;

retire:
#if !defined(NO_RETIREMENT) && !defined(EXPIRY_ONLY)
		if
		:: taken ->
			atomic { terminateOlder(mine) }
#ifndef NO_WAITING
			if
			:: atomic { CONNECTED(s) && !OLDER_THAN(mine) }
			:: atomic { !CONNECTED(s) -> goto lost }
			:: atomic { CONNECTED(s) && OLDER_THAN(mine) && faults > 0 ->
				faults--; /* it takes too long, or somebody presses Ctrl-C */
#ifdef GIVE_BACK
				goto superseded }
#else
				goto leave }
#endif
			fi
#endif
		:: else
		fi;
#endif
		atomic { /* it goes to work, and finds nobody at work (P2) */
			working = (mine > working -> mine : working);
			i = 0;
			do
			:: i < SESSIONS -> assert(!(session[i].alone && session[i].token < mine)); i++
			:: else -> i = 0; break
			od
		}

read:
		atomic { /* the history, under the lease */
			next = 0;
			do
			:: next < MIGRATIONS && recorded[next] -> next++
			:: else -> break
			od
		}
		do
		:: next < CHAIN -> send(transaction); next++
		:: next >= CHAIN && next < MIGRATIONS -> send(begun); send(statement); send(finish); next++
		:: next >= MIGRATIONS -> break
		:: atomic { next < MIGRATIONS && faults > 0 -> faults--; break } /* Ctrl-C, or a migration that fails */
		od;

superseded: /* every orderly end gives the lease back, and does not ask what became of that */
		atomic {
			if
			:: CONNECTED(s) -> session[s].token = mine; session[s].message = release
			:: else
			fi
		}
		session[s].message == nothing || !CONNECTED(s);
leave:
		atomic {
			session[s].abandoned = true;
			if
			:: next >= MIGRATIONS -> goto over
			:: else -> mine = 0; next = 0; taken = false; goto again
			fi
		}

lost:	/* The connection broke. Its session may live on and finish what it was
		 * told. So the run takes the lease from itself, with a new token. */
		if
#if defined(REJOIN_SAME_TOKEN)
		:: atomic { PROVED(mine) -> session[s].abandoned = true; open(); terminateOlder(mine + 1) }
			if
			:: atomic { CONNECTED(s) && !OLDER_THAN(mine + 1) }
			:: atomic { !CONNECTED(s) -> goto lost }
			fi;
			atomic {
				if
				:: PROVED(mine) -> holder = s; NAME; goto read
				:: else -> goto leave
				fi
			}
#elif !defined(POOLED) || defined(FENCED_ONLY)
		:: atomic { PROVED(mine) && fences == 0 -> session[s].abandoned = true; open(); own(); taken = true; goto retire }
#else
		:: atomic { PROVED(mine) -> goto leave }
#endif
		:: atomic { !PROVED(mine) -> goto leave }
		fi;

over:
		/* Anyone who ends without being killed leaves the work done (P4). */
		assert(recorded[0] && recorded[MIGRATIONS - 1])
#ifdef WITNESS
		; assert(!(faults == 0 && token > 2))
#endif
	} unless { killed[id] }
	atomic { session[uses[id]].abandoned = true; ended[id] = true }
}

/* A backend executes what its connection brings. A transaction proves its token
 * before anything else. Being terminated ends whatever is under way; so may the
 * loss of the client. */
proctype backend(byte s) {
	byte i;
end:
	do
	:: atomic { session[s].up && session[s].message != nothing && session[s].message != statement && session[s].message != release && session[s].fence == 0 ->
		if
		:: PROVED(session[s].token) ->
			assert(fences == 0); /* P1: no two transactions at once */
			nobodyAlone();
			session[s].fence = session[s].token;
			fences++
		:: else -> reply(refused)
		fi }
	:: atomic { session[s].up && session[s].fence != 0 ->
		assert(session[s].fence == token); /* P1: no old token commits */
		if
		:: session[s].message == transaction -> record(0)
		:: session[s].message == finish ->
			record(CHAIN)
#ifdef NAMELESS
			; session[s].name = session[s].fence
		:: session[s].message == begun -> session[s].name = 0
#endif
		:: else
		fi;
		session[s].fence = 0;
		fences--;
		reply(done) }
	:: atomic { session[s].up && session[s].message == statement && !session[s].alone ->
		assert(session[s].token >= working); /* P2: nothing old runs beside, or after, the new */
		nobodyAlone();
		assert(fences == 0);
		session[s].alone = true }
	:: atomic { session[s].up && session[s].alone -> session[s].alone = false; reply(done) }
	:: atomic { session[s].up && session[s].message == release ->
		if
#ifdef RELEASE_ANY
		:: true -> locked = false
#else
		:: token == session[s].token -> locked = false
#endif
		:: else
		fi;
		reply(done) }
	:: atomic { session[s].up && (session[s].terminated || session[s].abandoned) ->
		fences = (session[s].fence != 0 -> fences - 1 : fences);
		session[s].fence = 0;
		session[s].alone = false;
		session[s].message = nothing;
		session[s].answer = nothing;
		session[s].name = 0;
		session[s].up = false }
	od
}

/* What befalls the runners, their lines and the clocks. */
#define BUSY(r) (uses[r] != NOBODY && !killed[r] && !ended[r])
#define HELD_BY(r) (BUSY(r) && uses[r] == holder)
#if RUNNERS > 2
#define ATTENDED (HELD_BY(0) || HELD_BY(1) || HELD_BY(2))
#else
#define ATTENDED (HELD_BY(0) || HELD_BY(1))
#endif
#ifdef TIMELY
#define IN_TIME (session[holder].message != statement)
#else
#define IN_TIME true
#endif
#define BEFALLS(r) \
	:: atomic { faults > 0 && BUSY(r) -> faults--; killed[r] = true } \
	:: atomic { faults > 0 && BUSY(r) && CONNECTED(uses[r]) -> faults--; session[uses[r]].abandoned = true }

proctype world() {
end:
	do
	:: atomic { locked && !expired && IN_TIME && ATTENDED && faults > 0 -> faults--; expired = true }
	:: atomic { locked && !expired && IN_TIME && !ATTENDED -> expired = true }
	:: atomic { locked && expired && ATTENDED -> expired = false } /* a renewal, however late */
	:: atomic { faults > 0 && ATTENDED && session[holder].message == transaction && PROVED(session[holder].token) ->
		faults--; locked = false } /* an orderly stop recalls what was sent ahead */
	BEFALLS(0)
	BEFALLS(1)
#if RUNNERS > 2
	BEFALLS(2)
#endif
	od
}

#ifdef OPERATOR
proctype operator() {
	byte t, i;
end:
	atomic { locked -> t = token };
	atomic { terminateOlder(t + 1) };
	!OLDER_THAN(t + 1);
	atomic {
		if
		:: token == t -> locked = false
		:: else
		fi
	}
}
#endif

init {
	byte i;
	atomic {
		for (i : 0 .. SESSIONS - 1) { run backend(i) }
		for (i : 0 .. RUNNERS - 1) { run runner(i) }
		i = 0;
		run world();
#ifdef OPERATOR
		run operator()
#endif
	}
}

#ifdef PROGRESS
/* P4: whatever befalls them, all runners come to an end. */
#if RUNNERS > 2
ltl progress { <> (ended[0] && ended[1] && ended[2]) }
#else
ltl progress { <> (ended[0] && ended[1]) }
#endif
#endif

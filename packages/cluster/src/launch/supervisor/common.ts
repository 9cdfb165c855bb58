/**
 * sh: what an attempt's directory says. Shared by the supervisor and by every request on the control channel.
 * Everything is read with the shell's own words, no process is started: 100 attempts are looked at in some milliseconds.
 *
 * An attempt is `attempts/JOB.N/`:
 *   key      record token marker end                                                  the start, before anything else
 *   id.PID   the line that supervisor PID wants to claim with
 *   claim    pid start boot startedAtMs uptime tree end | stopped atMs reason end       created once, O_EXCL: the claim
 *   lock     held by the supervisor while it lives: the arbiter where /proc is not ours (another PID namespace)
 *   stop     reason graceCs                                                             a wish to end it, then TERM
 *   exit     outcome code signal possiblySignal endedAtMs resultBytes stuck logBytes left | detail | end   left: files, or - for none
 *   log progress result artifacts/ work/
 *
 * Invariant: a record counts only with its last word, so one that was cut short (kill, full disk, power) reads as absent.
 */
import { sh } from './sh.js'

export const COMMON = sh`
umask 077

# Uptime in hundredths of a second: cannot jump, needs no process.
m_now() { read -r m_up m_x </proc/uptime; m_up=\${m_up%.*}\${m_up#*.}; }

# pid -> m_state m_ppid m_start; fails where there is no such process.
m_stat() {
  m_l=
  while read -r m_x; do m_l=$m_l$m_x; done 2>/dev/null </proc/$1/stat
  case $m_l in *') '*) ;; *) return 1 ;; esac
  set -- \${m_l##*) }
  m_state=$1 m_ppid=$2 m_start=\${20}
}

m_lives() { m_stat "$1" && case $m_state in [ZX]) return 1 ;; esac; }

# pid start boot: is it that very process?
m_is() { [ "$3" = "$m_boot" ] && m_lives "$1" && [ "$m_start" = "$2" ]; }

# A count of kills for want of memory in our cgroup -> m_oom (0 where it cannot be read)
m_oom_count() {
  m_oom=0 m_v2= m_v1=
  if [ -z "$m_oomfile" ]; then
    while IFS=: read -r m_x m_c m_f; do
      case $m_c in '') m_v2=/sys/fs/cgroup$m_f/memory.events ;; *memory*) m_v1=/sys/fs/cgroup/memory$m_f/memory.oom_control ;; esac
    done </proc/self/cgroup
    m_oomfile=\${m_v1:-$m_v2}
  fi
  while read -r m_x m_c; do
    [ "$m_x" != oom_kill ] || m_oom=$m_c
  done 2>/dev/null <"$m_oomfile"
  return 0
}

# A kernel lock outlives no process and is seen across PID namespaces.
m_locked() {
  [ -e "$1" ] || return 1
  if [ -n "$m_flock" ]; then "$m_flock" -n "$1" true; [ $? = 1 ]
  elif [ -n "$m_perl" ]; then "$m_perl" -e 'open(L,"<",shift)||exit 2;flock(L,6)||exit 1' "$1"; [ $? = 1 ]
  else return 1; fi
}

# JOB.N TOKEN -> m_st: absent foreign open claiming stopped running exited gone; m_at m_up0 m_tree m_pid m_why
m_look() {
  m_st=absent m_at=0 m_tree=- m_pid=0 m_why=-
  if [ -L "$1" ]; then m_st=foreign; return; fi
  [ -e "$1/key" ] || return 0
  m_tries=0
  until m_key_line "$1"; do
    # Half a key: its writer is at it, or died; before a claim that is as good as none.
    [ -e "$1/claim" ] || return 0
    m_tries=$((m_tries + 1))
    [ $m_tries -lt 200 ] || break
  done
  # A shell reads byte by byte: a start and a stop that write the key at once can mix in what it reads. Not twice alike.
  m_c= m_tries=0
  until [ "$m_tok" = "$2" ]; do
    m_tries=$((m_tries + 1))
    if [ "$m_c" = "$m_rec $m_tok" ] || [ $m_tries = 200 ]; then m_st=foreign; return; fi
    m_c="$m_rec $m_tok"
    m_key_line "$1" || m_c=
  done
  m_st=open
  [ -e "$1/claim" ] || return 0
  m_judge "$1"
}

m_key_line() {
  m_rec= m_tok= m_mark= m_last=
  read -r m_rec m_tok m_mark m_last 2>/dev/null <"$1/key"
  [ "$m_last" = end ]
}

m_judge() {
  m_tries=0
  while m_c=; read -r m_c 2>/dev/null <"$1/claim"; case $m_c in *' end') false ;; esac; do
    m_tries=$((m_tries + 1))
    [ $m_tries -lt 50 ] || break
  done
  case $m_c in
  'stopped '*' end') set -- $m_c; m_st=stopped m_at=$2 m_why=$3; return ;;
  *' end') set -- "$1" $m_c; m_facts "$@" ;;
  *) # Created and not written yet: a contender is at it, or died between two system calls.
    m_bootwas=$m_boot m_began=0
    for m_f in "$1"/id.*; do
      m_c=
      read -r m_c 2>/dev/null <"$m_f"
      case $m_c in *' end') ;; *) continue ;; esac
      set -- "$1" $m_c
      m_facts "$@"
      m_is "$m_pid" "$m_began" "$m_bootwas" && { m_st=claiming; return; }
    done ;;
  esac
  m_st=running
  m_exit "$1" && { m_st=exited; return; }
  m_is "$m_pid" "$m_began" "$m_bootwas" && return
  # It may have ended between the two looks.
  m_exit "$1" && { m_st=exited; return; }
  m_locked "$1/lock" && return
  m_st=gone m_why=supervisor-killed
  [ "$m_bootwas" = "$m_boot" ] || m_why=reboot
}

m_facts() { m_pid=$2 m_began=$3 m_bootwas=$4 m_at=$5 m_tree=$7; }

# Becomes the command in a session of its own, with the interrupts that a background job lost.
m_apart() {
  if [ -n "$m_perl" ] && [ -z "\${PERL5OPT-}" ]; then
    exec "$m_perl" -e '$SIG{INT}=$SIG{QUIT}="DEFAULT";syscall(shift()+0);exec{$ARGV[0]}@ARGV;exit 126' "$m_setsid" "$@"
  fi
  [ -z "$m_session" ] || exec "$m_session" "$@"
  exec "$@"
}

# DIR -> m_ended m_detail; fails unless the exit record is whole.
m_exit() {
  m_ended= m_detail= m_last=
  { read -r m_ended; read -r m_detail; read -r m_last; } 2>/dev/null <"$1/exit"
  [ "$m_last" = end ]
}

# DIR: nothing in it; fails where that cannot be seen.
m_empty() {
  [ -r "$1" ] && [ -x "$1" ] || return
  for m_d in "$1"/* "$1"/.[!.]* "$1"/..?*; do [ ! -e "$m_d" ] && [ ! -L "$m_d" ] || return; done
}

# Live processes that carry the marker MARK, by limit or by environment -> m_marked; m_ghosts: those that ended during the look;
# m_born: pids given out meanwhile. grep sheds the marker, or it would find itself.
m_bearers() {
  m_marked= m_ghosts= m_born=0
  # A shorter one, in a key that somebody else wrote, would be the beginning of others.
  [ \${#1} = 15 ] || return 1
  read -r m_x m_x m_x m_x m_born </proc/loadavg
  for m_f in $(
    [ -z "$m_ulimit" ] || ulimit -S -$m_ulimit unlimited 2>/dev/null
    exec grep -lsE "^Max file locks +$1 |MUSTER_MARK=$1" /proc/[0-9]*/limits /proc/[0-9]*/environ
  ); do
    m_f=\${m_f#/proc/} m_f=\${m_f%%/*}
    case " $$ $m_marked " in *" $m_f "*) continue ;; esac
    if m_lives "$m_f"; then m_marked="$m_marked $m_f"; else m_ghosts="$m_ghosts $m_f"; fi
  done
  read -r m_x m_x m_x m_x m_x </proc/loadavg
  m_born=$((m_x - m_born))
  [ -n "$m_marked" ]
}
`

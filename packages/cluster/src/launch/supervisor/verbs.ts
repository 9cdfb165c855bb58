/**
 * sh: what a controller asks over the control channel, each a function that works in `attempts/`, prints lines and starts no
 * process where it can help it. Arguments are JOB.N names and tokens, checked by the controller to be plain words.
 */
import { sh } from './sh.js'

export const VERBS = sh`
# KEY TOKEN RECORD MARK [JOB]: the directory with its key, whoever came first.
m_make() {
  mkdir -p "$1/work" "$1/artifacts" \${5:+"../keep/$5"} || return 1
  # Whoever writes it for this attempt writes the same token; a stop does not know the record and writes -.
  m_key_line "$1" || printf '%s %s %s end\n' "$3" "$2" "$4" >"$1/key"
  m_look "$1" "$2"
}

# KEY TOKEN RECORD MARK EPOCH JOB: succeeds where a supervisor may be started; else says why not.
m_open() {
  m_look "$1" "$2"
  m_was=$m_st
  case $m_st in absent | open) m_make "$1" "$2" "$3" "$4" "$6" || return ;; esac
  # The key is written, so whoever raises the epoch now finds this attempt.
  for m_f in "../records/$3"/*; do
    if [ -e "$m_f" ] && [ "\${m_f##*/}" -gt "$5" ]; then
      printf '%s superseded %s\n' "$1" "\${m_f##*/}"
      # Whoever raised it may have looked before, and would never remove what was just made.
      [ "$m_was" != absent ] || m_undo "$1" "$6"
      return 1
    fi
  done
  [ "$m_st" = open ] || { printf '%s ' "$1"; m_say; return 1; }
}

# KEY JOB: takes back what m_make made; the key goes last, so what a stop has written meanwhile can still be told whose it is.
m_undo() {
  rmdir "$1/artifacts" "$1/work" 2>/dev/null && [ ! -e "$1/claim" ] && rm -f "$1/key" && rmdir "$1" 2>/dev/null || return
  set -- "$2" "$2".*
  [ -e "$2" ] || rmdir "../keep/$1" 2>/dev/null
}

# LINES, then KEY TOKEN of each: the lines, and of those that none of them names how they are and what their supervisor complained of.
m_told() {
  m_said="
$1"
  shift
  printf '%s\n' "$m_said"
  while [ $# -gt 0 ]; do
    case $m_said in
    *"
$1 "*) ;;
    *) m_look "$1" "$2"
      printf '%s ' "$1"
      m_say
      if [ "$m_st" = open ]; then m_x=; read -r m_x 2>/dev/null <"$1/err"; printf '%s %s\n' "$1" "$m_x"; fi ;;
    esac
    shift 2
  done
}

m_say() { printf '%s %s %s %s\n' "$m_st" "$m_why" "$m_at" "$m_tree"; }

# What survived KILL may be gone by now -> m_kept, and the seventh word of m_ended: pids, or - for none. That nobody was seen
# counts where hardly a pid was given out during the look: a storm of forks is never seen where it is looked for.
m_still() {
  set -- $m_ended
  m_kept=$7 m_n=0
  [ "$m_kept" != - ] || return 1
  # Its own supervisor bears the marker, too: while that is on its way out, what it wrote a moment ago holds.
  ! m_is "$m_pid" "$m_began" "$m_bootwas" || return 0
  [ "$m_bootwas" = "$m_boot" ] || m_kept=- m_n=3
  while [ $m_n -lt 3 ]; do
    m_n=$((m_n + 1))
    if m_bearers "$m_mark"; then
      m_kept= m_n=3
      for m_c in $m_marked; do m_kept=$m_kept,$m_c; done
      m_kept=\${m_kept#,}
    else
      case $m_ghosts$m_born in [0-4]) m_n=3; m_still_there $7 ;; esac
    fi
  done
  m_ended="$1 $2 $3 $4 $5 $6 $m_kept $8\${9:+ $9}"
  [ "$m_kept" != - ]
}

# PIDS -> m_kept. Nobody bears the marker. Where there is none, a pid that lives may be the one that was meant.
m_still_there() {
  m_kept=-
  [ -z "$m_ulimit" ] || return 0
  IFS=,; set -- $1; unset IFS
  for m_c in "$@"; do ! m_lives "$m_c" || m_kept=$m_kept,$m_c; done
  m_kept=\${m_kept#-,}
}

# NONCE, then KEY TOKEN of each: a line of facts, and what belongs to its state.
m_inspect() {
  m_nonce=$1 m_logs= m_lines=
  shift
  while [ $# -gt 0 ]; do
    m_look "$1" "$2"
    [ $m_st != claiming ] || m_st=running
    printf '%s %s %s %s\n' $m_st "$m_at" "$m_tree" "$m_why"
    case $m_st in
    exited)
      m_still
      printf '%s\n%s\n' "$m_ended" "$m_detail"
      m_result "$1" $m_ended ;;
    gone)
      m_marked=
      [ "$m_why" = reboot ] || m_bearers "$m_mark"
      printf '%s\n' "$m_marked" ;;
    esac
    case $m_st in running | exited | gone)
      [ $m_st = exited ] || m_logs="$m_logs $1/log"
      [ ! -s "$1/progress" ] || [ ! -f "$1/progress" ] || [ -L "$1/progress" ] || m_lines="$m_lines $1/progress" ;;
    esac
    shift 2
  done
  printf '%s\n' "$m_nonce"
  [ -z "$m_logs" ] || stat -c '%s %n' $m_logs 2>/dev/null
  printf '%s\n' "$m_nonce"
  [ -z "$m_lines" ] || tail -v -c 400 $m_lines
}

# KEY and the words of its exit record: a small result, then the nonce.
m_result() {
  [ "$7" -lt 0 ] || [ "$7" -gt 65536 ] || [ -L "$1/result" ] || dd "if=$1/result" bs=65536 count=1 iflag=fullblock 2>/dev/null
  printf '\n%s\n' "$m_nonce"
}

# KEY TOKEN RECORD MARK NOW REASON GRACE SUPERVISOR-HASH
m_stop() {
  m_look "$1" "$2"
  case $m_st in absent | open)
    m_make "$1" "$2" "$3" "$4" || return
    m_stat $$ && printf '%s %s %s %s 0 stop end\n' $$ "$m_start" "$m_boot" "$5" >"$1/id.$$"
    [ "$m_st" != open ] || ( set -C; printf 'stopped %s %s end\n' "$5" "$6" >"$1/claim" ) 2>/dev/null
    m_look "$1" "$2" ;;
  esac
  case $m_st in
  running)
    ( set -C; printf '%s %s\n' "$6" "$7" >"$1/stop" ) 2>/dev/null
    if m_is "$m_pid" "$m_began" "$m_bootwas"; then kill -TERM "$m_pid"; kill -CONT "$m_pid"; fi 2>/dev/null ;;
  gone)
    [ "$m_why" != reboot ] && m_bearers "$m_mark" || { printf 'over -\n'; return; }
    ( m_apart sh "../bin/$8/run" reap "$m_mark" "$7" "$1" ) >/dev/null 2>&1 </dev/null & ;;
  exited)
    # What survived KILL is killed again, once the supervisor is out of the way: it may have become mortal.
    if m_still && ! m_is "$m_pid" "$m_began" "$m_bootwas"; then
      ( m_apart sh "../bin/$8/run" reap "$m_mark" "$7" "$1" ) >/dev/null 2>&1 </dev/null &
    fi ;;
  esac
  m_say
}

# RECORD EPOCH-or--: remembers the epoch, then names every attempt of the record, and what cannot be read.
m_list() {
  if [ "$2" != - ]; then
    mkdir -p "../records/$1" && : >>"../records/$1/$2" || return
    for m_f in "../records/$1"/*; do [ "\${m_f##*/}" -ge "$2" ] || rm -f "$m_f"; done
    m_prune
  fi
  for m_f in *; do
    [ -e "$m_f" ] || [ -L "$m_f" ] || continue
    m_rec= m_tok= m_x= m_last=
    [ -L "$m_f" ] || read -r m_rec m_tok m_x m_last 2>/dev/null <"$m_f/key"
    if [ "$m_last" != end ]; then printf 'bad - %s\n' "$m_f"
    elif [ "$m_rec" = "$1" ]; then printf 'ok %s %s\n' "$m_tok" "$m_f"
    # Closed by a stop before it began: whose it was, nobody said.
    elif [ "$m_rec" = - ]; then printf 'bad %s %s\n' "$m_tok" "$m_f"; fi
  done
}

# What no rule keeps any more: texts of older versions after 30 days.
m_prune() {
  for m_f in $(find ../bin -mindepth 1 -maxdepth 1 -mtime +30 2>/dev/null); do
    # A supervisor that still runs has its text open.
    [ "$m_f/ask" -ef "$m_self" ] || rm -rf "$m_f"
  done
}

# NONCE, in the directory of an attempt that was looked at: a line 'mode size path' of each thing there, 'g 0 GLOB' of each glob,
# the nonce; then, of log, result and artifacts that are at most 1 MiB together, all bytes in that order.
m_fetch() {
  m_nonce=$1
  if ! m_plain; then
    set -- log result artifacts
    if [ -s globs ]; then set -- "$@" work; while read -r m_x; do printf 'g 0 %s\n' "$m_x"; done <globs; fi
    m_list=$(exec find "$@" -path work/.git -prune -o ! -type d -exec stat -c '%f %s %n' {} + 2>/dev/null)
  fi
  printf '%s\n%s\n' "$m_list" "$m_nonce"
  [ \${#m_list} -le 16384 ] || return 0
  m_sum=0
  set --
  while read -r m_x m_n m_f; do
    case "$m_x $m_f" in *' work/'*) continue ;; 8*) ;; *) continue ;; esac
    # A name with a newline may look like a line: what is no number here is never counted with.
    case $m_n in 0) continue ;; 0* | *[!0-9]* | ????????*) return 0 ;; esac
    m_sum=$((m_sum + m_n))
    set -- "$@" "./$m_f"
  done <<M_END
$m_list
M_END
  [ $# = 0 ] || [ $m_sum -gt 1048576 ] || cat "$@" 2>/dev/null
}

# In the directory of an attempt that was looked at -> m_list, where there is only the log and perhaps a result.
m_plain() {
  [ $m_st = exited ] && [ ! -s globs ] && [ ! -L artifacts ] && m_empty artifacts && [ -f log ] && [ ! -L log ] || return
  set -- $m_ended
  [ "$7" = - ] || return
  if [ "$6" -ge 0 ]; then [ -f result ] && [ ! -L result ] || return; elif [ -e result ] || [ -L result ]; then return 1; fi
  m_list="8000 $8 log"
  [ "$6" -lt 0 ] || m_list="$m_list
8000 $6 result"
}

# KEY TOKEN of each: removes what is over, names what is kept and why.
m_remove() {
  m_gone=
  while [ $# -gt 0 ]; do
    m_look "$1" "$2"
    case $m_st in
    exited)
      m_tries=0
      while m_is "$m_pid" "$m_began" "$m_bootwas" && [ $m_tries -lt 50 ]; do sleep 0.02; m_tries=$((m_tries + 1)); done
      case $m_ended in *' - '*) ;; *) m_bearers "$m_mark" && m_st=running ;; esac ;;
    gone) [ "$m_why" = reboot ] || { m_bearers "$m_mark" && m_st=running; } ;;
    esac
    case $m_st in running | claiming | foreign) printf '%s %s\n' $m_st "$1" ;; *) [ ! -e "$1" ] || m_gone="$m_gone $1" ;; esac
    shift 2
  done
  [ -n "$m_gone" ] || return 0
  # The key goes last, so a removal that is cut short can be told whose it is.
  m_rm_bare && return
  set --
  for m_f in $m_gone; do set -- "$@" "$m_f"/[!k]*; done
  rm -rf "$@" 2>/dev/null || { chmod -R u+rwX "$@"; rm -rf "$@"; }
  rm -rf $m_gone || return
  for m_f in $m_gone; do
    for m_c in ../gpus/*."$m_f".*; do [ ! -e "$m_c" ] || rm -f "$m_c"; done
    set -- "\${m_f%.*}".*
    [ -e "$1" ] || [ ! -d "../keep/\${m_f%.*}" ] || rmdir "../keep/\${m_f%.*}" 2>/dev/null || touch "../keep/\${m_f%.*}"
  done
  return 0
}

# The same in one process, where every directory of these attempts is empty, and what their jobs keep too. Removes nothing else.
m_rm_bare() {
  set --
  for m_f in $m_gone; do
    for m_c in "$m_f"/*; do [ ! -d "$m_c" ] || m_empty "$m_c" || return; done
    set -- "$@" "$m_f"/[!k]* "$m_f/key" "$m_f"
    for m_c in ../gpus/*."$m_f".*; do [ ! -e "$m_c" ] || set -- "$@" "$m_c"; done
    m_c=../keep/\${m_f%.*}
    for m_d in "\${m_f%.*}".*; do case " $m_gone " in *" $m_d "*) ;; *) m_c= ;; esac; done
    if [ -n "$m_c" ] && [ -d "$m_c" ]; then m_empty "$m_c" || return; set -- "$@" "$m_c"; fi
  done
  rm -df "$@" 2>/dev/null
}
`

/**
 * sh: the supervisor of one attempt. `run JOB.N KIND BOOT OOM-KILLS OOM-FILE START-or-nothing` in `attempts/`, the plan on standard
 * input (so that neither secrets nor environment touch argv, a file or our own environ), lock on descriptor 3, our words on
 * standard output until claimed.
 *
 * Processes: supervisor -> step (stays to see how the command ends) -> command; beside it the log writer and, with a
 * timeout, an alarm. The step's shell says on its own standard error when the command died of a signal, which is how an
 * exit of 143 is told from a TERM.
 */
import { sh } from './sh.js'

export const RUN = sh`
m_run() {
  cd "$1" || exit 1
  m_key=$1 m_kind=$2 m_boot=$3 m_oom0=$4 m_oomfile=$5 m_start=$6 m_root=$PWD
  . /proc/self/fd/0
  exec </dev/null
  m_stopped= m_detail= m_helpers= m_known= m_moving= m_step= m_stuck=- m_rc=0 m_signal=0
  trap m_on_term TERM
  trap : HUP INT QUIT
  m_claim || exit 0
  printf '%s running - %s %s\n' "$m_key" "$m_at0" "$m_kind"
  exec >/dev/null
  [ -z "$m_globs" ] || printf '%s' "$m_globs" >globs
  m_limit
  m_log_open
  for m_step in $m_steps; do
    [ "$m_step" = workspace ] || m_alarm
    [ ! -e stop ] && m_do && [ "$m_rc" = 0 ] || break
  done
  m_finish
}

# One contender creates the claim; what it wants to write lies beside it first, so that a half-made claim can be judged.
m_claim() {
  [ -n "$m_start" ] || m_stat $$
  m_now
  m_up0=$m_up m_line="$$ $m_start $m_boot $m_at0 $m_up $m_kind end"
  printf '%s\n' "$m_line" >id.$$
  m_gpus || m_line="stopped $m_at0 gpu-taken:$m_taken end"
  set -C
  printf '%s\n' "$m_line" 2>/dev/null >claim || { set +C; m_taken=; m_gpus_release; rm -f id.$$; return 1; }
  set +C
  [ -z "$m_taken" ]
}

# Announce, then look: of two that want one GPU at the same moment at most one goes on.
m_gpus() {
  m_taken=
  [ -n "$m_gpulist" ] || return 0
  for m_g in $m_gpulist; do printf '%s\n' "$$ $m_start $m_boot $m_record end" >../../gpus/$m_g.$m_key.$$; done
  for m_g in $m_gpulist; do
    for m_f in ../../gpus/$m_g.*; do
      read -r m_hp m_hs m_hb m_hr m_x 2>/dev/null <"$m_f" || continue
      [ "$m_hr" != "$m_record" ] && m_is "$m_hp" "$m_hs" "$m_hb" && { m_taken=$m_taken,$m_g; break; }
    done
  done
  m_stat $$
  [ -z "$m_taken" ] && return
  m_taken=\${m_taken#,}
  for m_g in $m_gpulist; do rm -f ../../gpus/$m_g.$m_key.$$; done
  return 1
}

# The marker. A limit on file locks limits nothing on today's Linux, and everything inherits it.
m_limit() { [ -z "$m_ulimit" ] || ulimit -S -$m_ulimit "$m_mark" 2>/dev/null || m_ulimit=; }

# Another's TERM (a job that kills its group) means nothing: the wish lies in the file.
m_on_term() {
  [ -e stop ] && [ -z "$m_stopped" ] && m_lives "$m_job" && [ "$m_ppid" = $$ ] || return 0
  m_stopped=cancelled m_g=0
  read -r m_stopped m_g <stop
  m_kill "$m_g"
}

m_alarm() {
  [ -n "$m_timeout" ] && [ -z "$m_watch" ] || return 0
  (
    trap 'kill $m_z 2>/dev/null; exit' TERM
    exec 3>&- 8>&-
    sleep "$m_timeout" & m_z=$!
    wait $m_z
    ( set -C; printf 'timeout %s\n' "$m_grace" >stop ) 2>/dev/null
    while kill -TERM $$; do sleep 1 & m_z=$!; wait $m_z; done
  ) & m_watch=$!
  m_helpers="$m_helpers $m_watch"
}

# One step: workspace, setup or command -> m_rc, m_signal
m_do() {
  (
    trap : TERM
    [ ! -e stop ] || exit 143
    exec 3>&-
    ( m_exec_$m_step ) >&8 2>&8 8>&-
    m_rc=$?
    printf '%s\n' $m_rc >code.$m_step
    exit $m_rc
  ) 2>signal & m_job=$!
  while wait $m_job; m_rc=$?; m_lives $m_job && [ "$m_ppid" = $$ ]; do :; done
  [ ! -s code.$m_step ] || read -r m_rc <code.$m_step
  m_signal=0
  if [ "$m_rc" -gt 128 ]; then
    if [ -s signal ] || [ ! -e code.$m_step ]; then m_signal=$((m_rc - 128)); fi
    # Shells say nothing of INT and PIPE.
    case $m_signal$m_rc in 0130 | 0141) m_maybe=1 ;; esac
    [ -n "$m_tells" ] || m_maybe=1
  fi
  return 0
}

m_exec_workspace() {
  MUSTER_ATTEMPT_DIR=$PWD
  export MUSTER_ATTEMPT_DIR
  cd work && exec sh -c "$m_workspace" workspace
}

# Into the working directory, which no link leads out of the work directory.
m_enter() {
  cd -P work && m_base=$PWD && cd -P -- "$m_cwd" 2>/dev/null || m_refuse 'there is no working directory' "$m_cwd"
  case $PWD/ in "$m_base"/*) ;; *) m_refuse 'the working directory leads out of the work directory:' "$m_cwd" ;; esac
  unset LC_ALL OLDPWD
}

m_refuse() { printf '%s %s\n' "$1" "$2" >"$m_root/refused"; printf 'muster: %s %s\n' "$1" "$2"; exit 126; }

# Looks the command up as exec will, for a message that names it; the job gets a session of its own.
m_exec() {
  m_is_there "$1" || { printf '%s\n' "$m_said: $1" >"$m_root/refused.$m_code"; printf 'muster: %s: %s\n' "$m_said" "$1"; exit $m_code; }
  m_apart "$@"
}

m_is_there() {
  m_said='command not found' m_code=127
  case $1 in
  */*) [ -e "$1" ] || return 1
    m_said='command cannot be executed' m_code=126
    [ -x "$1" ] && [ ! -d "$1" ] ;;
  *) m_path=$PATH:
    while [ -n "$m_path" ]; do
      m_d=\${m_path%%:*} m_path=\${m_path#*:}
      [ -x "\${m_d:-.}/$1" ] && [ ! -d "\${m_d:-.}/$1" ] && return
    done
    return 1 ;;
  esac
}
`

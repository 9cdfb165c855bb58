/**
 * What a test machine does when it boots, as shell text. The first boot makes the user, keys, disk and start files, later
 * ones find them. Invariant: it runs by busybox alone, so a machine may lack any tool, and sshd comes last, so who can
 * connect meets a finished machine.
 */

/** The user of every machine. */
export const USER = 'ada'
/** Where a machine keeps what only its tests look at. */
export const CLIENT_KEY = '/machine/client'
/** Where the key lies by which the machine is known. */
export const HOST_KEY = '/etc/ssh/ssh_host_ed25519_key'

/** What the first boot has to know. */
export interface MachineSetup {
  readonly loginShell: 'bash' | 'dash' | 'fish' | 'tcsh' | 'sh'
  readonly profile: string
  readonly sshdConfig: readonly string[]
  readonly hide: readonly string[]
  readonly userland: 'gnu' | 'busybox'
  readonly diskBytes: number | undefined
  readonly password: string | undefined
  readonly setup: string
}

/** The file that a shell reads when sshd starts it for one command; sh and dash read theirs at a login only. */
const START_FILES = {
  bash: '.bashrc',
  dash: '.profile',
  sh: '.profile',
  fish: '.config/fish/config.fish',
  tcsh: '.tcshrc',
} as const

/** What pid 1's only child runs at every boot, until sshd takes its place. */
export const BOOT = `
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
[ -e /machine/done ] || . /machine/prepare
# The kernel's boot id is the host's and never changes: this machine has its own, a new one at every boot.
cat /proc/sys/kernel/random/uuid >/machine/boot-id
mount --bind /machine/boot-id /proc/sys/kernel/random/boot_id
if [ -e /machine/home.img ]; then
  [ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
  for i in $(seq 0 63); do [ -e /dev/loop$i ] || mknod /dev/loop$i b 7 $i; done
  # Another machine may take the same free loop device first.
  for try in 1 2 3 4 5 6 7 8; do mount -o loop /machine/home.img /home/${USER} && break; sleep 0.1; done
  mountpoint -q /home/${USER}
fi
[ -e /machine/done ] || . /machine/furnish
: >/machine/done
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e
`

/** First boot, before the disk is there: user, keys, configuration. */
export function prepare(options: MachineSetup): string {
  return `
mkdir -p /home/${USER}
useradd -M -u 1000 -s ${quote(`/bin/${options.loginShell}`)} -p '*' ${USER}
${options.password === undefined ? '' : `echo ${quote(`${USER}:${options.password}`)} | chpasswd`}
ssh-keygen -q -t ed25519 -N '' -C 'test machine' -f ${HOST_KEY}
ssh-keygen -q -t ecdsa -N '' -C 'test machine' -f /etc/ssh/ssh_host_ecdsa_key
ssh-keygen -q -t ed25519 -N '' -C ${USER} -f ${CLIENT_KEY}
echo ${quote(options.sshdConfig.join('\n'))} >/etc/ssh/sshd_config.d/machine.conf
${options.diskBytes === undefined ? '' : disk(options.diskBytes)}
`
}

/** First boot, once the home lies where it will stay; the tools go last, since all before needs them. */
export function furnish(options: MachineSetup): string {
  const startFile = `/home/${USER}/${START_FILES[options.loginShell]}`
  return `
mkdir -p /home/${USER}/.ssh
cat ${CLIENT_KEY}.pub >/home/${USER}/.ssh/authorized_keys
${options.profile === '' ? '' : `mkdir -p "$(dirname ${startFile})"; echo ${quote(options.profile)} >${startFile}`}
chown -R ${USER}:${USER} /home/${USER}
chmod 700 /home/${USER} /home/${USER}/.ssh
${options.setup}
${options.userland === 'busybox' ? BUSYBOX : ''}
${options.hide.map((name) => `hide=${quote(name)}\n${HIDE}`).join('\n')}
`
}

/** Room for a journal; on less, nearly all of the bytes are to be the user's. */
const JOURNALED_BYTES = 2 ** 30

/**
 * Nothing reserved. Without a journal ext4 looks at every inode that was freed of late before it gives one out, which makes files
 * the dearer the more were removed: no property of a disk that people have.
 */
const disk = (bytes: number): string => `
truncate -s ${bytes} /machine/home.img
mkfs.ext4 -q -F -m 0 ${bytes < JOURNALED_BYTES ? `-O '^has_journal'` : '-E lazy_itable_init=0,lazy_journal_init=0'} /machine/home.img
`

/** Removes what busybox stands for, and what such a system does not have, then puts busybox in its place. */
const BUSYBOX = `
for file in $(dpkg -L coreutils util-linux procps findutils grep sed gzip tar mawk hostname | grep -E '^(/usr)?/s?bin/.'); do
  busybox rm -f "$file"
done
for name in $(busybox --list); do [ -e "/usr/sbin/$name" ] || busybox ln -sf /bin/busybox "/usr/bin/$name"; done
`

/** A tool may have several names (perl, perl5.36.0): all go. Of busybox only the one name goes. */
const HIDE = `
for file in /usr/bin/$hide /usr/sbin/$hide; do
  [ -e "$file" ] || continue
  case $(busybox readlink -f "$file") in
    */busybox) busybox rm -f "$file" ;;
    *) for other in /usr/bin/* /usr/sbin/*; do
         [ "$other" -ef "$file" ] && [ "$other" != "$file" ] && busybox rm -f "$other"
       done
       busybox rm -f "$file" ;;
  esac
done
`

/** Text as one word of a shell script. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

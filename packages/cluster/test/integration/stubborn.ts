/** What survives KILL, for real: a process that the user starts and may not signal, since it becomes root. */

/** Shell text for the setup of a test machine: afterwards `stubborn SECONDS` sleeps as root, in the tree of whoever calls it. */
export const STUBBORN = `
cp /bin/dash /usr/local/bin/as-root; chmod 4755 /usr/local/bin/as-root
cp "$(command -v setpriv)" /usr/local/bin/become; cp /bin/sleep /usr/local/bin/wait-for
printf '#!/bin/sh\\nexec as-root -p -c "exec become --reuid=0 --clear-groups wait-for $1"\\n' >/usr/local/bin/stubborn
chmod 755 /usr/local/bin/stubborn
`

/** A number of seconds that only one test sleeps for, so that its processes can be told from all others. */
export function uniqueSeconds(): string {
  return `7${String(Math.trunc(performance.now() * 1_000)).padStart(12, '0')}`
}

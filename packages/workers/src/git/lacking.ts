/** What a machine lacks for git jobs, told by how a script of ours ended there: each with the line that mends it. */
import { MusterError, quote, type MachineAccess, type RunResult } from '@muster/core'
import { EXIT } from './send-scripts.js'

/**
 * The typed error of a machine that cannot take a commit at all: GIT_MISSING, MACHINE_UNUSABLE (no lock, no room) or STATE_DIR_UNSAFE.
 * Undefined where the script failed for another reason.
 */
export function whatItLacks(
  { name, stateDir }: MachineAccess,
  { code, stderr }: Pick<RunResult, 'code' | 'stderr'>,
): MusterError | undefined {
  if (code === EXIT.noGit)
    return new MusterError('GIT_MISSING', `${name} has no git`, {
      hint: 'Install git 2.31 or newer there, for example: sudo apt-get install git',
    })
  if (code === EXIT.noLock)
    return new MusterError('MACHINE_UNUSABLE', `${name} has neither flock nor perl, one of which git jobs need`, {
      hint: 'Install one of them there, for example: sudo apt-get install util-linux',
    })
  if (code === EXIT.notOurs)
    return new MusterError('STATE_DIR_UNSAFE', `the mirror on ${name} does not belong to its user`)
  if (/No space left on device|Disk quota exceeded/i.test(stderr.toString('utf8')))
    return new MusterError('MACHINE_UNUSABLE', `the disk of ${name} is full: there is no room for the commit`, {
      hint: `Make room there; see what fills it with: df -h ${quote(stateDir)}`,
    })
  return undefined
}

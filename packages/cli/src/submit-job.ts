/** The submit of `run` and `submit`: says what the commit does not carry, and what takes long. */
import { dirty, type JobDefinitionInput, type JobHandle, type Muster, type SubmitOptions } from '@muster/sdk'
import type { Io } from './io.js'

/** What is submitted. */
export interface Submission {
  readonly definition: JobDefinitionInput
  readonly options: SubmitOptions
  /** The repository as named; false where there is none. */
  readonly repo: string | false
}

/** Submits, with a line about uncommitted changes before the job starts. */
export async function submitJob(io: Io, muster: Muster, { definition, options, repo }: Submission): Promise<JobHandle> {
  if (repo !== false) await sayWhatIsLeftBehind(io, repo)
  return io.patiently('submitting', (progress) => muster.submit(definition, options, { progress }))
}

async function sayWhatIsLeftBehind(io: Io, repo: string): Promise<void> {
  const found = await dirty(repo)
  if (!found || found.changed + found.untracked === 0) return
  const counts = [
    found.changed > 0 ? `${found.changed} changed` : '',
    found.untracked > 0 ? `${found.untracked} untracked` : '',
  ]
  const files = found.changed + found.untracked === 1 ? 'file' : 'files'
  const text = `${counts.filter((count) => count !== '').join(' and ')} ${files} in ${repo} not committed, so the job does not see them`
  io.say(io.colors.yellow(text))
}

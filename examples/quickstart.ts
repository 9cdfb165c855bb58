// Runs the last commit of this repository on this machine; no server, no config, no network: npm run quickstart
import { git, isMusterError, open } from '@muster/sdk'

async function quickstart(): Promise<void> {
  const muster = await open()
  const job = await muster.submit(git({ repo: '.', ref: 'HEAD', run: ['node', 'examples/train/train.js'] }), {
    timeout: '10m',
    labels: { example: 'quickstart' },
  })
  const { createdAt } = await job.status()
  const events = (async () => {
    for await (const { at, sentence } of job.events())
      console.log(`  +${((at - createdAt) / 1000).toFixed(2)} s  ${sentence}`)
  })()
  for await (const line of job.logs()) console.log(line.text)
  await events
  const { output, startedAt, endedAt } = await job.result() // throws JobError with the reason, unless the job completed
  console.log(`\nresult     ${JSON.stringify(output)}, after ${((endedAt ?? 0) - (startedAt ?? 0)) / 1000} s`)
  for (const { file } of await job.artifacts()) console.log(`artifact   ${file}  (open it in a browser)`)
  console.log(`log        ${muster.filesOf(job)}/1/log`)
  console.log(`record     ${muster.location}`)
  console.log(`try next   npx @muster/cli show ${job.id}\n           npx @muster/cli run --no-repo -- uname -a`)
  await muster.close()
}

quickstart().catch((error: unknown) => {
  console.error(isMusterError(error) ? `${error.message} [${error.code}]\n${error.hint}` : error)
  process.exitCode = 1
})

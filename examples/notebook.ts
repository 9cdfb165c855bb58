// The quickstart, cell by cell, as it stands in a tslab notebook. A cell begins at each line of "// %%".
// %% open: nothing is started, nothing has to be closed before the laptop is
import { git, open } from '@muster/sdk'
const muster = await open()
console.log(muster.location)

// %% submit: durable as soon as the cell has run
const job = await muster.submit(
  git({ repo: '.', ref: 'HEAD', run: ['node', 'examples/train/train.js', '--epochs', '60'] }),
)
console.log(job.id)

// %% watch the lines; interrupting this cell leaves the job alone
for await (const line of job.logs()) console.log(line.text)
console.log((await job.status()).state)

// %% the result, or the reason why there is none
const { output } = await job.result()
console.log(output)

// %% the picture
const [picture] = await job.artifacts()
console.log(picture?.file)

// %% tomorrow, in another notebook: the same job by its id
const again = await muster.job(job.id)
console.log((await again.status()).state)

// %% when done
await muster.close()

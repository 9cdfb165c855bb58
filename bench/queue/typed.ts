/** The queue as a team would define it: each message is checked by a schema when it is published and again when it is delivered. */
import { defineQueue, type QueueDefinition } from '@muster/orchestrator'
import { z } from 'zod'

const mail = z.object({
  number: z.int(),
  kind: z.literal('mail.send'),
  to: z.string(),
  subject: z.string(),
  template: z.string(),
  locale: z.string(),
  attachments: z.array(z.string()),
  tracked: z.boolean(),
})

/** A message as it is in `payload.ts`. */
export type Mail = z.infer<typeof mail>

/** A queue of such messages. */
export function typedQueue(name: string): QueueDefinition<Mail> {
  return defineQueue(name, { schema: mail })
}

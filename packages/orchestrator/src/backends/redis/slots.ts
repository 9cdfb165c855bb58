/** Which slot of a Redis Cluster a key belongs to: CRC16 (XMODEM) of what stands between the first braces, modulo 16,384. */

const SLOTS = 16_384

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** The slot of a key. */
export function slotOf(key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key
  let crc = 0
  for (const byte of Buffer.from(tag)) crc = ((crc << 8) & 0xffff) ^ (TABLE[((crc >> 8) ^ byte) & 0xff] ?? 0)
  return crc % SLOTS
}

/** Where the slots are: ranges of them with the server that has them. */
export type SlotMap = readonly { readonly from: number; readonly to: number; readonly node: string }[]

/** Reads the answer to CLUSTER SLOTS. A server that does not know its own address is the one that was asked. */
export function readSlots(answer: unknown, asked: string): SlotMap {
  if (!Array.isArray(answer)) return []
  return answer.map((range: readonly unknown[]) => {
    const [from, to, [host, port] = []] = range as [number, number, [Buffer | null, number]?]
    const name = host?.toString() ?? ''
    const [askedHost] = splitNode(asked)
    return { from, to, node: `${name === '' || name === '?' ? askedHost : name}:${port ?? 0}` }
  })
}

/** `host:port` in two. */
export function splitNode(node: string): [host: string, port: number] {
  const at = node.lastIndexOf(':')
  return [node.slice(0, at), Number(node.slice(at + 1))]
}

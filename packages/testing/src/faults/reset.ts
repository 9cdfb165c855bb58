/** The hard end of a connection. */
import type { Socket } from 'node:net'

/**
 * Ends a socket by RST. One whose own end was asked for only closes: as long as that end is under way libuv refuses to reset it, and Node (seen
 * in 20) believes it closed all the same. It would stay open for good, and the process spin at its exit, waiting for it.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** What RabbitMQ has on disk of its declarations in the moment in which a publish resolves: what is not there a kill takes away. */
import { openBackend } from '@muster/orchestrator'
import { startRabbit, type RabbitServer } from '@muster/testing/servers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

const TIMES = 40
/** In Erlang: whoever notes what was decided sleeps a millisecond or two, again and again, as where a machine has too much to do. */
const HESITATE = `
  P = whereis(mnesia_recover), erlang:suspend_process(P), timer:sleep(1), erlang:resume_process(P), timer:sleep(1)`

let server: RabbitServer
beforeAll(async () => {
  server = await startRabbit()
})
afterAll(() => server.remove())

/**
 * Reads the copies of Mnesia's log, /tmp/log.N: prints how many transactions that need a decision are in them, then a line for each whose
 * decision is not, with N and what it was about.
 */
const READ = `
read(N) ->
  {ok, Log} = case disk_log:open([{name, log}, {quiet, true}, {file, "/tmp/log." ++ integer_to_list(N)}]) of
    {repaired, L, _, _} -> {ok, L}; Opened -> Opened end,
  Found = chunks(Log, start, []),
  disk_log:close(Log),
  Decided = [Tid || {decision, Tid, committed, _, _} <- Found],
  Asked = [{Tid, Commit} || Commit = {commit, _, {decision, Tid, _, _, _}, _, _, _, _, _} <- Found],
  {length(Asked), [{N, Commit} || {Tid, Commit} <- Asked, not lists:member(Tid, Decided)]}.
chunks(Log, At, Found) ->
  case disk_log:chunk(Log, At) of eof -> Found; {Next, Terms} -> chunks(Log, Next, Terms ++ Found) end.
main([Times]) ->
  Read = [read(N) || N <- lists:seq(0, list_to_integer(Times) - 1)],
  io:format("~p~n", [lists:sum([Count || {Count, _} <- Read])]),
  [io:format("~0p~n", [Commit]) || {_, Open} <- Read, Commit <- Open].
`

// RabbitMQ 4 has another store of its own (Khepri) and no such log.
test.skipIf(process.env['MUSTER_RABBIT_IMAGE'] !== undefined)(
  'queues and bindings are decided on disk when a publish to them resolves',
  async () => {
    await server.ctl('eval', `spawn(fun Loop() -> ${HESITATE}, Loop() end).`)
    const backend = await openBackend(await server.vhost(), { namespace: 'n' })
    onTestFinished(() => backend.close())
    for (let n = 0; n < TIMES; n++) {
      // Every second one makes a step of the ladder of delays, too.
      const [published] = await backend.publish(`q${n}`, [{ body: new Uint8Array(1), delayMs: n % 2 ? 16 * n : 0 }])
      expect(published).toMatchObject({ status: 'accepted' })
      await server.exec(`cat /var/lib/rabbitmq/mnesia/rabbit@*/LATEST.LOG >/tmp/log.${n}`)
    }
    await server.exec(`cat >/tmp/read <<'E'\n#!/usr/bin/env escript\n${READ}E`)
    const { stdout } = await server.exec(`escript /tmp/read ${TIMES}`)
    const [asked = '', ...open] = stdout.trim().split('\n')
    expect(Number(asked)).toBeGreaterThan(TIMES)
    // Our own last word may be undecided: nobody needs it, and it says so. A hesitation may also outlast that (1 of 100; without it: half of all).
    const needed = open.filter((commit) => !commit.includes('nobody'))
    const publishes = new Set(needed.map((commit) => /^\{(\d+),/.exec(commit)?.[1]))
    expect(publishes.size, needed.join('\n')).toBeLessThan(TIMES / 10)
  },
)

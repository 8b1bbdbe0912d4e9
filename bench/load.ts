import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import { Pool } from 'undici'
import { pathOf } from './example.ts'

// A process of its own: one task comes in as a message, one outcome goes out.

export interface Target {
  readonly origin: string
  readonly method: 'PATCH' | 'PUT'
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}
/** `flood`: each connection asks again as soon as it is answered. `pace`: a request is due every 1/rate seconds. */
export type Task =
  | { readonly kind: 'flood'; readonly target: Target; readonly seconds: number; readonly connections: number }
  | { readonly kind: 'pace'; readonly target: Target; readonly seconds: number; readonly rate: number }

/** `cpuSeconds` is what this process spent; `latenciesMs` is filled by `pace` alone. */
export interface Outcome {
  readonly requests: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly latenciesMs: readonly number[]
}
type Counted = Omit<Outcome, 'cpuSeconds'>

async function flood({ target, seconds, connections }: Extract<Task, { kind: 'flood' }>): Promise<Counted> {
  const { origin, path, method, headers, body } = target
  let clients = 0
  const result = await autocannon({
    url: origin,
    connections,
    duration: seconds,
    setupClient: (client) => client.setRequests([{ method, path: pathOf(path, clients++), headers, body }])
  })
  const bad = result.non2xx + result.errors + result.timeouts + result.resets
  if (bad > 0)
    throw new Error(`${bad} of ${result.requests.sent} requests failed: ${JSON.stringify(result.statusCodeStats)}`)
  return { requests: result['2xx'], seconds: result.duration, latenciesMs: [] }
}

// Not autocannon's overallRate: it sends each connection's requests of a second at once and counts whole milliseconds.
// Here a request is sent when it is due, whether or not earlier ones are answered, so a slow answer delays no other.
async function pace({ target, seconds, rate }: Extract<Task, { kind: 'pace' }>): Promise<Counted> {
  const { origin, ...request } = target
  const pool = new Pool(origin, { connections: 64 })
  const timed = async (n: number) => {
    const sentAt = performance.now()
    const answer = await pool.request({ ...request, path: pathOf(request.path, n) })
    await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`Answered ${answer.statusCode}`)
    return performance.now() - sentAt
  }

  for (let i = 0; i < 20; i++) await timed(i)
  const start = performance.now()
  const pending: Promise<number>[] = []
  for (let i = 0; i < rate * seconds; i++) {
    const wait = start + (i * 1000) / rate - performance.now()
    if (wait > 0) await sleep(wait)
    pending.push(timed(i))
  }
  const latenciesMs = await Promise.all(pending)
  await pool.close()
  return { requests: pending.length, seconds: (performance.now() - start) / 1000, latenciesMs }
}

async function run(task: Task): Promise<Outcome> {
  const before = process.cpuUsage()
  const counted = task.kind === 'flood' ? await flood(task) : await pace(task)
  const { user, system } = process.cpuUsage(before)
  return { ...counted, cpuSeconds: (user + system) / 1e6 }
}

process.on('message', (task: Task) => {
  run(task).then(
    (outcome) => process.send?.({ outcome }),
    (error: unknown) => process.send?.({ error: String(error) })
  )
})
process.once('disconnect', () => process.exit())

import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import { Pool } from 'undici'
import { pathOfRecord } from './example.ts'

// The load generator, a separate process. It receives a task as a message and sends back the outcome.

export interface Target {
  readonly origin: string
  readonly method: 'PATCH' | 'PUT'
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}
/** `flood`: each connection sends its next request once it is answered. `pace`: one request every 1/rate seconds. */
export type Task =
  | { readonly kind: 'flood'; readonly target: Target; readonly seconds: number; readonly connections: number }
  | { readonly kind: 'pace'; readonly target: Target; readonly seconds: number; readonly rate: number }

/** `cpuSeconds` is the CPU time of the load process. Only `pace` fills `latenciesMs`. */
export interface Outcome {
  readonly requests: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly latenciesMs: readonly number[]
}
type LoadCounts = Omit<Outcome, 'cpuSeconds'>

async function flood({ target, seconds, connections }: Extract<Task, { kind: 'flood' }>): Promise<LoadCounts> {
  const { origin, path, method, headers, body } = target
  let clients = 0
  const result = await autocannon({
    url: origin,
    connections,
    duration: seconds,
    setupClient: (client) => client.setRequests([{ method, path: pathOfRecord(path, clients++), headers, body }])
  })
  const bad = result.non2xx + result.errors + result.timeouts + result.resets
  if (bad > 0)
    throw new Error(`${bad} of ${result.requests.sent} requests failed: ${JSON.stringify(result.statusCodeStats)}`)
  return { requests: result['2xx'], seconds: result.duration, latenciesMs: [] }
}

// autocannon's overallRate would not do: it sends all requests of a second at once, and measures in whole milliseconds.
// Here each request is sent when it is due, even if earlier ones are unanswered, so no slow answer delays another call.
async function pace({ target, seconds, rate }: Extract<Task, { kind: 'pace' }>): Promise<LoadCounts> {
  const { origin, ...request } = target
  const pool = new Pool(origin, { connections: 64 })
  const timed = async (n: number) => {
    const sentAt = performance.now()
    const answer = await pool.request({ ...request, path: pathOfRecord(request.path, n) })
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

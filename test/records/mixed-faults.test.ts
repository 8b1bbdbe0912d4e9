import { randomInt } from 'node:crypto'
import t, { type Test } from 'tap'
import { SEED } from '../simulator/seed.ts'
import type { Fault, Simulator } from '../simulator/simulator.ts'
import { RECORD_PATH } from '../simulator/test-client.ts'
import { connectLocation, countOutcomes, putRecords } from '../support/calls.ts'
import { type Reply, sendRaw, startGateway, startSimulator, type TestGateway } from '../support/harness.ts'

/**
 * For more writes, or to repeat a run: `WRITES=10000 SEED=7 npm exec -- tap --disable-coverage
 * test/records/mixed-faults.test.ts`.
 */
const WRITES = Number(process.env['WRITES'] ?? 400)
const SEED_NUMBER = Number(process.env['SEED'] ?? randomInt(2 ** 31))
/** Each writer has a record of its own and writes it again and again. */
const WRITERS = 24
const LOCATIONS = 4
const TIMEOUT_MS = 1_000

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

/** Statuses that HighLevel, or a proxy before it, may answer before or after a write was carried out. */
const REDIRECTS = [...range(300, 308), 399]
const OTHERS = [202, 203, 204, 205, 206, 207, 402, ...range(405, 418), 423, 424, 425, 426, 428, 431, 451, 499, 600, 999]
const FAILURES = [...range(500, 511), ...range(520, 527), 530, 599]
const NOT_FINAL = [101, 102, 103]
/** Statuses for which an edge server may send a page instead of HighLevel's JSON. */
const PAGED = [400, 404, 422]
/**
 * HighLevel's own rejections. They are never played for a write that is carried out: HighLevel does not do that, and no
 * gateway could detect it.
 */
const REFUSALS: [status: number, message: string][] = [
  [400, 'Invalid Key Passed'],
  [401, 'The token is not authorized for this scope.'],
  [403, 'Forbidden resource'],
  [404, 'Record not found'],
  [422, "We couldn't apply updates to Ticket Name due to an unexpected format."],
  [429, 'Too Many Requests']
]

/** mulberry32. The same seed plays the same faults. */
function createRandom(seed: number) {
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    random,
    pick: <T>(list: readonly [T, ...T[]] | readonly T[]): T => list[Math.floor(random() * list.length)] as T
  }
}
type Random = ReturnType<typeof createRandom>

const TAKEN = 'T-taken'
const FRAMINGS = ['length', 'chunked', 'close'] as const
/** With few writes, cuts skip bytes but still range from the first byte to the last. */
const STRIDE = WRITES < 10_000 ? 23 : 1

/** The kinds of faults with their weights. Successive cuts are made at successive bytes, in each framing. */
function createKinds({ random, pick }: Random) {
  let cuts = 0
  const cut = (): Fault => {
    const bytes = Math.floor(cuts / FRAMINGS.length) * STRIDE
    const framing = FRAMINGS[cuts % FRAMINGS.length] ?? 'length'
    cuts += 1
    return { kind: 'cut', bytes, framing }
  }
  const status = (statuses: readonly number[], body: unknown): Fault => ({
    kind: pick(['status', 'status-after'] as const),
    status: pick(statuses),
    body,
    headers: { location: `https://elsewhere.example.com${RECORD_PATH}` }
  })
  const refusal = (): Fault => {
    const [code, message] = pick(REFUSALS)
    return { kind: 'status', status: code, body: { statusCode: code, message } }
  }

  const kinds: Record<string, [weight: number, make: () => Fault | undefined]> = {
    none: [25, () => undefined],
    cut: [44, cut],
    'reset before the answer': [3, () => ({ kind: pick(['reset-before', 'reset-after'] as const) })],
    redirect: [8, () => status(REDIRECTS, pick(['', { message: 'Moved' }, '<html>']))],
    'other status': [5, () => status(OTHERS, pick(['', { message: 'Conflict', statusCode: 409 }, '<html>']))],
    failure: [4, () => status(FAILURES, pick(['no healthy upstream', { message: 'Something went wrong' }]))],
    'page instead of JSON': [3, () => status(PAGED, pick(['', '<html>', {}]))],
    'not final': [0.5, () => status(NOT_FINAL, '')],
    refusal: [4, refusal],
    corrupt: [3, () => ({ kind: pick(['truncated', 'empty', 'wrong-type', 'huge', 'html'] as const) })],
    late: [2, () => ({ kind: pick(['slow', 'slow-body'] as const), delayMs: Math.floor(random() * 2 * TIMEOUT_MS) })],
    'no answer': [0.5, () => ({ kind: 'hang' })]
  }
  const total = Object.values(kinds).reduce((sum, [weight]) => sum + weight, 0)

  return {
    next(): { kind: string; fault: Fault | undefined } {
      let left = random() * total
      for (const [kind, [weight, make]] of Object.entries(kinds)) {
        left -= weight
        if (left < 0) return { kind, fault: make() }
      }
      return { kind: 'none', fault: undefined }
    },
    /** At how many byte positions the answer was cut, in each framing. */
    cutBytes: () => Math.floor(cuts / FRAMINGS.length)
  }
}

interface Shape {
  /** The record is read before it is written. */
  reads?: true
  properties?: object
  followers?: readonly string[]
  ifMatch?: string
}

/** The shapes of writes. The plainest is the most frequent. */
const SHAPES: readonly Shape[] = [
  ...Array.from({ length: 5 }, () => ({})),
  { properties: { customer_number: 7, description: 'x'.repeat(40) } },
  { reads: true, properties: { section_of_app: ['contacts'] } },
  { reads: true, properties: { section_of_app: ['calendars', 'smartlist'] } },
  { reads: true, followers: [SEED.userId] },
  { reads: true, ifMatch: '*' },
  { reads: true, ifMatch: '"2020-01-01T00:00:00.000Z"' },
  // Another record holds this id, so HighLevel rejects the whole write.
  { properties: { external_id: TAKEN } }
]

interface Outcome {
  name: string
  kind: string
  reply: Reply
}

const reportedOutcome = ({ status, json }: Reply) => (status === 200 ? 'yes' : String(json['applied']))

async function playWrites(gateway: TestGateway, simulator: Simulator, paths: readonly string[], random: Random) {
  const kinds = createKinds(random)
  const outcomes: Outcome[] = []
  let started = 0

  const write = async (path: string): Promise<void> => {
    const name = `Write ${started++}`
    const { reads, properties, followers, ifMatch } = random.pick(SHAPES)
    const { kind, fault } = kinds.next()
    if (fault !== undefined) {
      const record = `/objects/${SEED.schemaKey}/records/${/[0-9a-f]{24}/.exec(path)?.[0]}`
      const method = reads && random.random() < 0.3 ? 'GET' : 'PUT'
      // Sometimes for the retry too. A fault that is not used up meets the next write of the record.
      simulator.failNext({ ...fault, path: record, method, times: random.random() < 0.1 ? 2 : 1 })
    }
    const body = { properties: { ticket_name: name, ...properties }, ...(followers && { followers }) }
    const headers = ifMatch === undefined ? {} : { 'if-match': ifMatch }
    const reply = await gateway.patch(body, { headers }, path)
    outcomes.push({ name, kind, reply })
  }
  const writer = async (path: string): Promise<void> => {
    while (started < WRITES) await write(path)
  }
  await Promise.all(paths.map(writer))
  return { outcomes, cutBytes: kinds.cutBytes() }
}

/** The length of an answer to a write on the wire, in bytes. */
async function answerLength(simulator: Simulator): Promise<number> {
  const body = JSON.stringify({ properties: { ticket_name: 'Write 10000' } })
  const head = [
    `PUT ${RECORD_PATH}?locationId=${SEED.locationId} HTTP/1.1`,
    'Host: highlevel',
    'Connection: close',
    'Version: 2021-07-28',
    `Authorization: Bearer ${simulator.grantTokens().accessToken}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`
  ]
  return Buffer.byteLength(await sendRaw(simulator.origin, `${head.join('\r\n')}\r\n\r\n${body}`))
}

function report(t: Test, outcomes: readonly Outcome[], stored: ReadonlySet<string>): void {
  const rows = new Map<string, Record<string, number>>()
  for (const { kind, name, reply } of outcomes) {
    const row = rows.get(kind) ?? {}
    const cell = `${reportedOutcome(reply)}, ${stored.has(name) ? 'stored' : 'not stored'}`
    rows.set(kind, { ...row, [cell]: (row[cell] ?? 0) + 1 })
  }
  t.comment(countOutcomes(outcomes.map(({ reply }) => reply)))
  for (const [kind, row] of rows) t.comment(kind, JSON.stringify(row))
}

t.test(
  'under any mix of faults, a write reported as stored is stored, and one reported as not stored is not',
  async (t) => {
    t.comment(`${WRITES} writes of seed ${SEED_NUMBER}`)
    const simulator = await startSimulator(t, { burstMax: 1_000_000, dailyMax: 1_000_000_000 })
    const gateway = await startGateway(t, {
      simulator,
      env: { UPSTREAM_TIMEOUT_MS: String(TIMEOUT_MS), LOCATION_BURST_MAX: '1000000', LOG_LEVEL: 'fatal' }
    })
    const locations = range(1, LOCATIONS).map((n) => `mixedFaults${n}`)
    for (const id of locations) {
      await connectLocation(gateway, simulator, id)
      simulator.putRecord(SEED.schemaKey, {
        id: `ffffff${id.slice(-1).padStart(18, '0')}`,
        locationId: id,
        properties: { external_id: TAKEN }
      })
    }
    const paths = locations.flatMap((id) => putRecords(simulator, WRITERS / LOCATIONS, id))
    const startedAt = performance.now()

    const { outcomes, cutBytes } = await playWrites(gateway, simulator, paths, createRandom(SEED_NUMBER))

    const stored = new Set(
      simulator
        .stored()
        .map(
          ({ body }) =>
            (JSON.parse(body) as { properties: Record<string, unknown> }).properties['ticket_name'] as string
        )
    )
    report(t, outcomes, stored)
    const wrong = outcomes.filter(({ name, reply }) => {
      const reported = reportedOutcome(reply)
      return (reported === 'yes' && !stored.has(name)) || (reported === 'no' && stored.has(name))
    })
    const mismatched = outcomes.filter(
      ({ name, reply }) => reply.status === 200 && !reply.text.includes(`"ticket_name":"${name}"`)
    )
    const length = await answerLength(simulator)
    t.comment(
      `${outcomes.length} writes in ${Math.round((performance.now() - startedAt) / 1_000)} s, ` +
        `cut at ${Math.min(cutBytes, length)} of ${length} bytes, ${wrong.length} wrong`
    )

    t.equal(outcomes.length >= WRITES, true)
    t.strictSame(
      wrong.map(({ name, kind, reply }) => [name, kind, reply.status, reply.json]),
      []
    )
    t.strictSame(mismatched, [], 'each write is answered with its own record')
    if (WRITES >= 10_000) t.ok(cutBytes >= length, 'the answer was cut after each of its bytes')
    // A gateway that always reports `unknown`, or one that meets no faults, must not pass.
    const share = (outcome: string) =>
      outcomes.filter(({ reply }) => reportedOutcome(reply) === outcome).length / outcomes.length
    t.ok(
      share('yes') > 0.05 && share('no') > 0.05 && share('unknown') > 0.1,
      'outcomes are reported where they are known'
    )
  }
)

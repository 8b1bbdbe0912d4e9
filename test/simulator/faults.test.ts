import t from 'tap'
import type { Fault } from './simulator.ts'
import { openSimulator } from './test-client.ts'

const WRITE = { properties: { ticket_name: 'Changed' } }

t.test('a fault that replaces the answer leaves the record unchanged', async (t) => {
  const { simulator, put, properties } = await openSimulator(t)
  const { fail, before } = { fail: simulator.failNext, before: properties() }

  fail({ kind: 'status', status: 503, body: { message: 'down' }, headers: { 'Retry-After': '2' } })
  const unavailable = await put(WRITE)
  t.match(unavailable, { status: 503, body: { message: 'down' } })
  t.equal(unavailable.headers.get('retry-after'), '2')
  fail({ kind: 'status', status: 503, body: 'no healthy upstream' })
  t.match(await put(WRITE), { status: 503, body: 'no healthy upstream' })
  fail({ kind: 'html' })
  const blocked = await put(WRITE)
  t.match(blocked, { status: 403, body: /Error 1010/ })
  t.match(blocked.headers.get('content-type'), /^text\/html/)
  fail({ kind: 'reset-before' })
  await t.rejects(put(WRITE))
  t.strictSame(properties(), before)
})

t.test('a fault in the answer does not undo the write', async (t) => {
  const { simulator, put, properties } = await openSimulator(t)
  const cases: [fault: Fault, expected: object][] = [
    [
      { kind: 'slow', delayMs: 20 },
      { status: 200, body: { record: Object } }
    ],
    [
      { kind: 'slow-body', delayMs: 20 },
      { status: 200, body: { record: Object } }
    ],
    [
      { kind: 'status-after', status: 504, body: { message: 'late' } },
      { status: 504, body: { message: 'late' } }
    ],
    [{ kind: 'truncated' }, { status: 200, body: /^\{"record":/ }],
    [{ kind: 'empty' }, { status: 200, body: /^$/ }],
    [{ kind: 'wrong-type' }, { status: 200, body: { record: Object } }],
    [{ kind: 'huge' }, { status: 200, body: { padding: /^x{100}/ } }]
  ]

  for (const [fault, expected] of cases) {
    const from = performance.now()
    simulator.failNext(fault)
    t.match(await put({ properties: { ticket_name: fault.kind } }), expected, fault.kind)
    t.equal(properties()['ticket_name'], fault.kind)
    if ('delayMs' in fault) t.ok(performance.now() - from >= fault.delayMs - 2, 'the answer is delayed')
  }
  simulator.failNext({ kind: 'reset-after' })
  await t.rejects(put(WRITE))
  t.equal(properties()['ticket_name'], 'Changed')
})

t.test('an answer can be cut after any byte, and the write is stored all the same', async (t) => {
  const { simulator, put, properties } = await openSimulator(t)
  const cuts: [bytes: number, framing: 'length' | 'chunked' | 'close'][] = [
    [0, 'length'],
    [12, 'length'],
    [600, 'length'],
    [600, 'chunked']
  ]

  for (const [bytes, framing] of cuts) {
    simulator.failNext({ kind: 'cut', bytes, framing })
    await t.rejects(put({ properties: { ticket_name: `${bytes} ${framing}` } }))
    t.equal(properties()['ticket_name'], `${bytes} ${framing}`)
  }
  simulator.failNext({ kind: 'cut', bytes: 600, framing: 'close' })
  t.match(await put(WRITE), { status: 200, body: /^\{"record":/ }, 'a cut answer without a length looks complete')
  t.equal(simulator.stored().length, 5)
  t.match(await put({ properties: { no_such_field: 1 } }), { status: 400 })
  t.equal(simulator.stored().length, 5, 'rejected writes are not stored')
})

t.test('a fault hits the next matching requests and no others', async (t) => {
  const { simulator, get, put, refresh } = await openSimulator(t)
  simulator.failNext({ kind: 'status', status: 500, times: 2, method: 'PUT', path: '/objects/custom_objects.ticket/' })
  simulator.failNext({ kind: 'reset-after', path: '/oauth/token' })

  const statuses = [await get(), await put(WRITE), await put(WRITE), await put(WRITE)].map(({ status }) => status)
  await t.rejects(refresh())
  const repaired = await refresh()

  t.strictSame(statuses, [200, 500, 500, 200])
  t.equal(repaired.status, 200, 'a repeated refresh within the grace gets the lost tokens')
  t.match(simulator.tokenCalls(), [
    { status: 200, withinGrace: false },
    { status: 200, withinGrace: true }
  ])
  simulator.failNext({ kind: 'html' })
  simulator.clearFaults()
  t.equal((await get()).status, 200)
})

t.test('closing the simulator ends a hanging request', async (t) => {
  const { simulator, refresh } = await openSimulator(t)
  simulator.failNext({ kind: 'hang' })

  const hanging = t.rejects(refresh())
  while (simulator.received().length === 0) await new Promise(setImmediate)
  await simulator.close()

  await hanging
  t.match(simulator.tokenCalls(), [{ status: 0 }])
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { SEED } from './seed.ts'
import { openSimulator, RECORD_PATH, textIn } from './test-client.ts'

t.test('every answer says how much of the burst and day quota is left', async (t) => {
  let now = 1_800_000_000_000
  const { simulator, get } = await openSimulator(t, { burstMax: 2, dailyMax: 3, now: () => now })
  const left = (headers: Headers) =>
    ['max', 'remaining', 'interval-milliseconds', 'limit-daily', 'daily-remaining'].map((name) =>
      Number(headers.get(`x-ratelimit-${name}`))
    )

  const first = await get()
  now += 9_999
  const second = await get('/objects/unknown')
  const third = await get()
  now += 1
  const fourth = await get()
  now += 10_000
  const fifth = await get()

  t.strictSame(left(first.headers), [2, 1, 10_000, 3, 2])
  t.strictSame(left(second.headers), [2, 0, 10_000, 3, 1], 'a request that is answered with 404 uses quota too')
  t.match(third, { status: 429, body: { statusCode: 429, message: 'Too Many Requests' } })
  t.strictSame(left(third.headers), [2, 0, 10_000, 3, 1], 'a request over the limit uses no quota')
  t.equal(third.headers.get('retry-after'), null)
  t.equal(fourth.status, 200, 'the window has moved on')
  t.equal(fifth.status, 429, 'the day quota is used up')
  t.equal(simulator.countInWindow(SEED.locationId), 3)
  simulator.setDaily(4)
  t.equal((await get()).status, 200)
})

t.test('each location has its own rate limit', async (t) => {
  const { simulator, get, call } = await openSimulator(t)
  const { accessToken: token } = simulator.grantTokens(SEED.secondLocationId)
  simulator.setBurst(1)

  const [first, second] = [await get(), await get()]
  const other = await call(`/objects/business?locationId=${SEED.secondLocationId}`, { token })

  t.strictSame([first.status, second.status, other.status], [200, 429, 200])
})

t.test('received requests are recorded unchanged', async (t) => {
  const { simulator, call } = await openSimulator(t)

  await call('/objects/a%20b?locationId=x%2Fy', { headers: { 'x-mark': '1' } })
  await call('/oauth/token', { method: 'POST', body: 'a=1' })

  t.match(simulator.received({ method: 'GET' }), [
    { path: '/objects/a%20b', query: { locationId: 'x/y' }, headers: { 'x-mark': '1' } }
  ])
  t.match(simulator.received({ path: '/oauth' }), [{ method: 'POST', body: 'a=1', at: Number }])
  simulator.clearReceived()
  t.strictSame(simulator.received(), [])
})

t.test('other processes can call the listed controls over HTTP, and nothing else', async (t) => {
  const { simulator, call, get } = await openSimulator(t)
  const control = (name: string, body: string) => call(`/_simulator/${name}`, { method: 'POST', body })

  t.match(await control('connect', '[]'), { status: 200, body: { code: /^\w{40}$/ } })
  t.match(await control('failNext', '[{"kind":"status","status":418}]'), { status: 200, body: null })
  t.equal((await get()).status, 418)
  t.match(await control('failNext', '[{"kind":"meteor"}]'), { status: 400, body: { message: /No such fault: meteor/ } })
  t.match(await control('setBurst', '{}'), { status: 400 })
  for (const name of ['close', 'toString', '']) t.equal((await control(name, '[]')).status, 404, name)
  t.match(await call('/_simulator/received?path=/objects'), { status: 200, body: [{ path: RECORD_PATH }] })
  t.equal(simulator.received().length, 1, 'controls are no API requests')
})

t.test('the consent page redirects back with a code and the unchanged state', async (t) => {
  const { simulator, token } = await openSimulator(t)
  const redirect_uri = 'http://127.0.0.1:3000/connect/callback?keep=1'
  const form = { client_id: simulator.clientId, redirect_uri, state: 'a "b" <c>&d' }
  const link = { ...form, response_type: 'code', version_id: '66f0a1b2c3d4e5f6a7b8c9d0' }
  const choose = async (more: Record<string, string>) => {
    const body = new URLSearchParams({ ...form, ...more })
    const reply = await fetch(`${simulator.origin}/v2/oauth/choose`, { method: 'POST', body, redirect: 'manual' })
    t.equal(reply.status, 302)
    return Object.fromEntries(new URL(reply.headers.get('location') ?? '').searchParams)
  }

  const page = await (await fetch(`${simulator.origin}/v2/oauth/chooselocation?${new URLSearchParams(link)}`)).text()
  const chosen = await choose({ locationId: SEED.secondLocationId })
  const bulk = await choose({ company: '1' })

  t.match(page, 'value="a &quot;b&quot; &lt;c&gt;&amp;d"')
  for (const { id } of SEED.locations) t.match(page, id)
  t.match(chosen, { keep: '1', code: /.+/, state: form.state })
  const install = await token({ grant_type: 'authorization_code', code: chosen['code'] ?? '' })
  t.equal(textIn(install.body, 'locationId'), SEED.secondLocationId)
  t.strictSame(await choose({ cancel: '1' }), { keep: '1', error: 'access_denied', state: form.state })
  t.strictSame(Object.keys(bulk), ['keep', 'code'], 'an agency’s bulk install has no state')
})

t.test('the consent page rejects an invalid link', async (t) => {
  const { simulator, call } = await openSimulator(t)
  const link = {
    client_id: simulator.clientId,
    redirect_uri: 'http://127.0.0.1/',
    response_type: 'code',
    version_id: '66f0a1b2c3d4e5f6a7b8c9d0'
  }
  const cases: [without: string, value: string | undefined, page: RegExp][] = [
    ['version_id', undefined, /error\.noversionid/],
    ['version_id', 'other', /No integration found/],
    ['client_id', undefined, /^$/],
    ['client_id', 'other', /No integration found/],
    ['response_type', 'token', /error\.invalidresponsetype/],
    ['redirect_uri', 'javascript:alert(1)', /error\.invalidredirecturi/]
  ]

  for (const [name, value, body] of cases) {
    const params = new URLSearchParams(link)
    if (value === undefined) params.delete(name)
    else params.set(name, value)
    t.match(await call(`/oauth/chooselocation?${params}`), { status: 400, body }, `${name}: ${value}`)
  }
})

/** The simulator as a process; its output and its end are awaited from the start, or they would be missed. */
function startProcess(PORT: string) {
  const main = new URL('./main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [main], { env: { ...process.env, PORT } })
  const end = once(child, 'exit')
  const exitCode = async () => (await end)[0]
  return { child, firstLine: once(child.stdout, 'data').then(String), stderr: text(child.stderr), exitCode }
}

t.test('as a process it prints its origin, exits cleanly, and names a port in use', async (t) => {
  const [first, other, unusable] = [startProcess('0'), startProcess('0'), startProcess('x')]
  const port = /^HighLevel simulator listening on http:\/\/127\.0\.0\.1:(\d+)\n$/.exec(await first.firstLine)?.[1] ?? ''
  await other.firstLine
  const second = startProcess(port)

  const stderr = await second.stderr
  first.child.kill('SIGTERM')
  other.child.kill('SIGINT')

  t.match(stderr, `address already in use 127.0.0.1:${port}. Set PORT to a free port`)
  t.equal(await unusable.stderr, 'PORT must be an integer from 0 to 65535\n')
  t.strictSame(await Promise.all([first, other, second, unusable].map(({ exitCode }) => exitCode())), [0, 0, 1, 1])
})

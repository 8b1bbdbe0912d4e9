import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SEED } from './simulator/seed.ts'
import { createClock } from './support/clock.ts'
import { RECORD, type Reply, startGateway, startSimulator, temporaryFolder, VAULT_KEYS } from './support/harness.ts'

/** Values that occur nowhere else, so that any occurrence is a leak. */
const VALUES = {
  ticket_name: 'Marmalade-7731',
  customer_number: 918_273_645,
  phone_number: '+4915550139',
  description: 'Zanzibar '.repeat(30),
  external_id: 'QX-40912'
}
const valueMarkers = ['Marmalade', '918273645', '4915550139', 'Zanzibar', 'QX-40912']

t.test('no token, key, secret, code or field value reaches the log, an error or the database', async (t) => {
  const folder = temporaryFolder(t)
  const clock = createClock()
  const simulator = await startSimulator(t, { now: clock.now })
  const gateway = await startGateway(t, {
    simulator,
    now: clock.now,
    env: { DATABASE_URL: `sqlite:${folder}/gateway.db`, UPSTREAM_TIMEOUT_MS: '200', LOG_LEVEL: 'trace' }
  })
  const { patch, call, install, addKey, key } = gateway
  const errors: Reply[] = []
  const keepError = async (reply: Promise<Reply>) => void errors.push(await reply)
  const change = () => patch({ properties: VALUES })

  // Uses every feature of the service, and every way in which HighLevel can echo what it was sent.
  const code = simulator.connect().code
  await install(code)
  await install(simulator.connectCompany({ approvedLocations: [SEED.locationId, SEED.secondLocationId] }).code)
  await change()
  await install(code)
  await keepError(install('secret-code-of-nobody'))
  await keepError(patch({ properties: VALUES }, {}, RECORD.replace(SEED.locationId, SEED.secondLocationId)))
  await keepError(patch({ properties: { description: 'Zanzibar '.repeat(1_500) } }))
  await keepError(patch({ properties: { unknown_field: 'Marmalade-7731' } }))
  await keepError(patch(`{"properties":{"ticket_name":"Marmalade-7731"`))
  await keepError(patch({ properties: VALUES, owner: { add: ['a b Marmalade'] }, note: 'Marmalade' }))
  await keepError(patch({ properties: VALUES }, { key: 'rgk_wrong-secret-key' }))
  await keepError(
    patch({ properties: VALUES }, { key: null, headers: { authorization: 'Basic c2VjcmV0LXBhc3N3b3Jk' } })
  )
  await keepError(call(`/oauth/callback?code=secret-code-in-url&state=secret-state`, { key: null }))
  await keepError(call(`/nowhere?token=secret-in-query`, { headers: { cookie: 'session=secret-cookie' } }))
  const echoes = [
    {
      statusCode: 400,
      message: `Value Marmalade-7731 of 918273645 is bad: ${VALUES.description}`,
      errors: [{ errorCode: 'x', message: 'Marmalade-7731' }]
    },
    { message: ['ticket_name Marmalade-7731 must be shorter', 'QX-40912 exists'] },
    { error: 'Bad Request', error_description: 'Zanzibar Zanzibar Zanzi' }
  ]
  for (const body of echoes) {
    simulator.failNext({ kind: 'status', status: 400, body, method: 'PUT' })
    await keepError(change())
  }
  const bearer = String(simulator.received({ method: 'PUT' }).at(-1)?.headers.authorization).replace('Bearer ', '')
  for (const status of [400, 401]) {
    const body = {
      message: `Invalid JWT ${bearer}`,
      traceId: `Marmalade ${bearer}`,
      errors: [{ errorCode: 'duplicate_record', field: `Marmalade ${bearer}` }]
    }
    simulator.failNext({ kind: 'status', status, body, method: 'PUT' })
    await (status === 400 ? keepError(change()) : change())
  }
  for (const kind of ['html', 'reset-before', 'truncated', 'empty', 'huge', 'hang'] as const) {
    simulator.failNext({ kind, method: 'PUT', times: 10 })
    await keepError(change())
    simulator.clearFaults()
  }
  simulator.expireTokens()
  await change()
  clock.move(30 * 3_600_000)
  await change()
  simulator.failNext({
    kind: 'status',
    status: 400,
    body: { error: 'invalid_client', error_description: 'refresh_token is odd' },
    path: '/oauth/token',
    times: 5
  })
  clock.move(30 * 3_600_000)
  await keepError(change())
  simulator.revokeGrants()
  clock.move(10_000)
  await keepError(change())
  await addKey('key_more', 'rgk_second-secret', ['*'])
  await gateway.close()

  const issued = simulator
    .received()
    .flatMap(({ body, headers, path }) => [
      ...(path.startsWith('/oauth/')
        ? [...new URLSearchParams(body).entries()]
            .filter(([name]) => /token|code|secret/.test(name))
            .map(([, value]) => value)
        : []),
      String(headers.authorization ?? '').replace('Bearer ', '')
    ])
  const secrets = [
    ...new Set(issued),
    ...valueMarkers,
    key,
    'rgk_second-secret',
    'rgk_wrong-secret-key',
    'c2VjcmV0LXBhc3N3b3Jk',
    'secret-code-in-url',
    'secret-code-of-nobody',
    'secret-state',
    'secret-in-query',
    'secret-cookie',
    VAULT_KEYS.split(':')[1] ?? ''
  ].filter((secret) => secret !== '')
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
  const outputs = {
    log: gateway.lines.join('\n'),
    errors: errors.map(({ text, headers }) => text + JSON.stringify([...headers])).join('\n'),
    database: files.join('\n')
  }

  t.ok(secrets.length > 20 && secrets.includes(simulator.clientSecret))
  t.ok(errors.length > 20 && errors.every(({ status }) => status >= 400), 'every kept reply is an error')
  t.ok(gateway.lines.length > errors.length && outputs.database.length > 4_096)
  for (const [output, text] of Object.entries(outputs))
    t.strictSame(
      secrets.filter((secret) => text.includes(secret)),
      [],
      output
    )
})

import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { loadConfig } from '../../src/app/config.ts'
import { Env } from '../../src/app/environment-variables.ts'

const key = (id: string, fill = 1, bytes = 32) => `${id}:${Buffer.alloc(bytes, fill).toString('base64')}`
const VAULT_KEYS = key('k1')

/** The message of the error that loadConfig throws, or `nothing`. */
function configError(env: NodeJS.ProcessEnv): string {
  try {
    loadConfig(env)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return 'nothing'
}

t.test('with nothing but a vault key, every setting has its documented default', async (t) => {
  const config = loadConfig({ VAULT_KEYS })

  const { webhookKey, ...highLevel } = config.highLevel

  t.equal(webhookKey.asymmetricKeyType, 'ed25519')
  t.strictSame(
    { ...config, highLevel },
    {
      publicServer: {
        host: '0.0.0.0',
        port: 3000,
        url: 'http://localhost:3000',
        trustProxy: false,
        corsOrigins: undefined
      },
      adminServer: { host: '127.0.0.1', port: 3001 },
      bodyLimitBytes: 262_144,
      requestDeadlineMs: 15_000,
      shutdownGraceMs: 10_000,
      logLevel: 'info',
      vault: { url: 'sqlite:data/gateway.db', keys: [{ id: 'k1', bytes: Buffer.alloc(32, 1) }] },
      redisUrl: undefined,
      highLevel: {
        apiUrl: 'https://services.leadconnectorhq.com',
        apiVersion: '2021-07-28',
        timeoutMs: 10_000,
        app: undefined,
        scopes: 'objects/schema.readonly objects/record.readonly objects/record.write oauth.readonly oauth.write'
      },
      callers: { jwt: undefined, rateLimit: { max: 300, windowMs: 60_000 } },
      quota: { burstMax: 100, windowMs: 10_000, dayMax: 200_000, queueMax: 200 },
      writes: { checks: true, translates: true }
    }
  )
})

t.test('an empty variable counts as absent', async (t) => {
  const empty = Object.fromEntries(Object.keys(Env.properties).map((name) => [name, '']))

  t.strictSame(loadConfig({ ...empty, VAULT_KEYS }), loadConfig({ VAULT_KEYS }))
  t.equal(configError(empty), 'Invalid configuration: VAULT_KEYS is required')
})

t.test('variables are parsed to their types, and those of other programs are ignored', async (t) => {
  const env = {
    VAULT_KEYS,
    PORT: '8080',
    CALLER_RATE_MAX: '5',
    WRITE_DIALECT: 'verbatim',
    LOG_LEVEL: 'debug',
    PATH: '/'
  }

  const config = loadConfig(env)

  t.match(config, {
    publicServer: { port: 8080 },
    callers: { rateLimit: { max: 5 } },
    writes: { checks: true, translates: false },
    logLevel: 'debug'
  })
  t.notMatch(JSON.stringify(config), /PATH|VAULT_KEYS/)
  t.ok(Object.isFrozen(config))
})

t.test('all configuration errors are reported at once, by name and never by value', async (t) => {
  const env = {
    PORT: 'secret-1',
    ADMIN_PORT: '70001',
    PUBLIC_URL: 'secret-2',
    DATABASE_URL: 'mysql://secret-3',
    VAULT_KEYS: 'secret-4',
    HIGHLEVEL_API_VERSION: 'secret 5',
    HIGHLEVEL_CLIENT_ID: 'secret-6',
    WRITE_DIALECT: 'secret-7',
    BODY_LIMIT_BYTES: '17',
    LOG_LEVEL: 'secret-8',
    CALLER_RATE_MAX: '0'
  }

  const message = configError(env)

  t.strictSame(message.replace('Invalid configuration: ', '').split('; ').sort(), [
    'ADMIN_PORT must be an integer from 0 to 65535',
    'BODY_LIMIT_BYTES must be an integer from 1024 to 16777216',
    'CALLER_RATE_MAX must be an integer from 1 to 1000000000',
    'DATABASE_URL must be sqlite:<path> or postgres://<user>:<password>@<host>:<port>/<database>',
    'HIGHLEVEL_API_VERSION must be a version such as 2021-07-28',
    'HIGHLEVEL_CLIENT_SECRET must be set together with HIGHLEVEL_CLIENT_ID',
    'LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent',
    'PORT must be an integer from 0 to 65535',
    'PUBLIC_URL must be an http or https URL',
    'VAULT_KEYS entry 1 must be id:base64',
    'WRITE_DIALECT must be one of delta, verbatim'
  ])
  t.notMatch(message, /secret[ -]\d|70001|mysql/)
})

t.test('a number that is not an integer in digits is rejected', async (t) => {
  for (const PORT of ['3000.7', 'true', '0x10', '1e3', '-1', '65536', '80abc', 'NaN'])
    t.match(configError({ VAULT_KEYS, PORT }), /: PORT must be an integer/, PORT)
})

t.test('an invalid URL is rejected before anything is opened', async (t) => {
  for (const url of [
    'ftp://host',
    'host:80',
    'http://',
    'http:///path',
    'http://a b',
    'http://host:99999',
    'https://?'
  ])
    for (const name of ['HIGHLEVEL_API_URL', 'PUBLIC_URL', 'CALLER_JWKS_URL', 'HIGHLEVEL_INSTALL_URL'])
      t.match(configError({ VAULT_KEYS, [name]: url }), new RegExp(`${name} must`), `${name}=${url}`)
})

t.test('a base URL with a query or fragment is rejected', async (t) => {
  for (const url of ['https://gw.example/?a=b', 'https://gw.example?', 'https://gw.example/#top'])
    for (const name of ['HIGHLEVEL_API_URL', 'PUBLIC_URL'])
      t.match(configError({ VAULT_KEYS, [name]: url }), new RegExp(`${name} must`), `${name}=${url}`)
})

t.test('an invalid TRUST_PROXY is rejected before anything is opened', async (t) => {
  t.match(configError({ VAULT_KEYS, TRUST_PROXY: 'banana' }), /TRUST_PROXY must/)
})

t.test('variables that belong together are all set or none', async (t) => {
  const jwt = { CALLER_JWKS_URL: 'https://id.example/jwks', CALLER_JWT_ISSUER: 'id', CALLER_JWT_AUDIENCE: 'crm' }
  const cases: [NodeJS.ProcessEnv, string][] = [
    [{ HIGHLEVEL_CLIENT_ID: 'a' }, 'HIGHLEVEL_CLIENT_SECRET must be set together with HIGHLEVEL_CLIENT_ID'],
    [{ HIGHLEVEL_CLIENT_SECRET: 'b' }, 'HIGHLEVEL_CLIENT_ID must be set together with HIGHLEVEL_CLIENT_SECRET'],
    [
      { ...jwt, CALLER_JWT_ISSUER: '' },
      'CALLER_JWT_ISSUER must be set together with CALLER_JWKS_URL and CALLER_JWT_AUDIENCE'
    ],
    [
      { CALLER_JWT_AUDIENCE: 'crm' },
      'CALLER_JWKS_URL must be set together with CALLER_JWT_AUDIENCE; CALLER_JWT_ISSUER must be set together with CALLER_JWT_AUDIENCE'
    ]
  ]

  for (const [env, expected] of cases)
    t.equal(configError({ VAULT_KEYS, ...env }), `Invalid configuration: ${expected}`)
  const config = loadConfig({ VAULT_KEYS, ...jwt, HIGHLEVEL_CLIENT_ID: 'a', HIGHLEVEL_CLIENT_SECRET: 'b' })
  t.match(config.highLevel.app, { clientId: 'a', clientSecret: 'b' })
  t.match(config.callers.jwt, { jwksUrl: 'https://id.example/jwks', issuer: 'id', audience: 'crm' })
})

t.test('vault keys are parsed in order, and an invalid one is named by its id or position', async (t) => {
  const cases: [string, string][] = [
    ['no colon', 'VAULT_KEYS entry 1 must be id:base64'],
    [`${VAULT_KEYS},`, 'VAULT_KEYS entry 2 must be id:base64'],
    [`${VAULT_KEYS},two words:AAAA`, 'VAULT_KEYS entry 2 must be id:base64'],
    ['k1:not*base64', 'VAULT_KEYS entry 1 must be id:base64'],
    [key('short', 1, 31), 'VAULT_KEYS entry short must decode to 32 bytes, but has 31'],
    [key('long', 1, 33), 'VAULT_KEYS entry long must decode to 32 bytes, but has 33'],
    [`${VAULT_KEYS},${key('k1', 2)}`, 'VAULT_KEYS names k1 twice'],
    [
      `x,${key('short', 1, 16)}`,
      'VAULT_KEYS entry 1 must be id:base64; VAULT_KEYS entry short must decode to 32 bytes, but has 16'
    ]
  ]

  for (const [keys, expected] of cases) t.equal(configError({ VAULT_KEYS: keys }), `Invalid configuration: ${expected}`)
  t.strictSame(loadConfig({ VAULT_KEYS: `${key('new', 2)}, ${key('old')} ` }).vault.keys, [
    { id: 'new', bytes: Buffer.alloc(32, 2) },
    { id: 'old', bytes: Buffer.alloc(32, 1) }
  ])
})

t.test('base URLs lose their trailing slashes', async (t) => {
  const config = loadConfig({ VAULT_KEYS, PUBLIC_URL: 'https://gw.example/base//', HIGHLEVEL_API_URL: 'http://api/' })

  t.match(config, { publicServer: { url: 'https://gw.example/base' }, highLevel: { apiUrl: 'http://api' } })
})

t.test('HighLevel’s webhook key is accepted in PEM, on one line or several, and in base64', async (t) => {
  const { publicKey } = generateKeyPairSync('ed25519')
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()
  const base64 = publicKey.export({ format: 'der', type: 'spki' }).toString('base64')

  for (const text of [pem, pem.trim().replaceAll('\n', '\\n'), base64]) {
    const { webhookKey } = loadConfig({ VAULT_KEYS, HIGHLEVEL_WEBHOOK_KEY: text }).highLevel
    t.ok(webhookKey.equals(publicKey), text.slice(0, 12))
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey.export({ format: 'pem', type: 'spki' })
  for (const text of ['nonsense', rsa.toString()])
    t.equal(
      configError({ VAULT_KEYS, HIGHLEVEL_WEBHOOK_KEY: text }),
      'Invalid configuration: HIGHLEVEL_WEBHOOK_KEY must be an Ed25519 public key in PEM or base64'
    )
})

t.test('origins are normalized to what browsers send, and invalid ones are rejected', async (t) => {
  const read = (CORS_ORIGINS: string) => loadConfig({ VAULT_KEYS, CORS_ORIGINS }).publicServer.corsOrigins
  t.strictSame(read('https://app.example.com'), ['https://app.example.com'])
  t.strictSame(read(' HTTPS://App.Example.com/ , http://localhost:5173'), [
    'https://app.example.com',
    'http://localhost:5173'
  ])
  t.strictSame(read('https://app.example.com:443'), ['https://app.example.com'])
  t.strictSame(read('*'), ['*'])

  for (const CORS_ORIGINS of [
    'app.example.com',
    'https://app.example.com/path',
    'https://app.example.com?q',
    'https://user@app.example.com',
    'https://app.example.com:99999',
    'https://*.example.com',
    'ftp://app.example.com',
    'https:app.example.com',
    'https://app.example.com,',
    'null',
    '/'
  ])
    t.match(
      configError({ VAULT_KEYS, CORS_ORIGINS }),
      /: CORS_ORIGINS must be \* or comma-separated origins such as/,
      CORS_ORIGINS
    )
})

t.test('both listeners on one port are rejected', async (t) => {
  const colliding = [
    { PORT: '3001' },
    { PORT: '8080', ADMIN_PORT: '8080' },
    { HOST: '10.0.0.1', ADMIN_HOST: '0.0.0.0', PORT: '8080', ADMIN_PORT: '8080' }
  ]
  for (const env of colliding)
    t.equal(configError({ VAULT_KEYS, ...env }), 'Invalid configuration: ADMIN_PORT must differ from PORT')
  t.equal(configError({ VAULT_KEYS, PORT: '0', ADMIN_PORT: '0' }), 'nothing')
  t.equal(configError({ VAULT_KEYS, HOST: '10.0.0.1', PORT: '8080', ADMIN_PORT: '8080' }), 'nothing')
})

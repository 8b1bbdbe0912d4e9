import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { Format } from 'typebox/format'
import '../shared/typebox-settings.ts'
import { parseVaultKeys } from '../grants/vault/cipher.ts'
import { HIGHLEVEL_WEBHOOK_KEY, parseWebhookKey } from '../webhooks/signature.ts'
import { isTrustProxy, parseOrigins } from './setting-formats.ts'

const IntegerBetween = (minimum: number, maximum: number, fallback: number) =>
  Type.Integer({ minimum, maximum, default: fallback, description: `an integer from ${minimum} to ${maximum}` })
const Port = (fallback: number) => IntegerBetween(0, 65_535, fallback)
const Milliseconds = (fallback: number) => IntegerBetween(1, 86_400_000, fallback)
// URL.parse alone would repair `http:///host` and accept it.
const isHttpUrl = (text: string) => /^https?:\/\/[^\s/?#]+/.test(text) && URL.canParse(text)
Format.Set('http-url', isHttpUrl)
// Paths are appended to these URLs. With a query or fragment, a path would become part of it.
Format.Set('base-url', (text) => isHttpUrl(text) && !/[?#]/.test(text))
Format.Set('redis-url', (text) => /^rediss?:\/\/[^\s/?#]+/.test(text) && URL.canParse(text))
Format.Set('database-url', (text) =>
  /^postgres(ql)?:/.test(text) ? /^postgres(ql)?:\/\/[^/]/.test(text) && URL.canParse(text) : /^sqlite:.+/.test(text)
)
Format.Set('origins', (text) => parseOrigins(text) !== undefined)
Format.Set('trust-proxy', isTrustProxy)
Format.Set('webhook-key', (text) => parseWebhookKey(text) !== undefined)
const Url = (options: { format?: string; default?: string } = {}) =>
  Type.String({ format: 'http-url', description: 'an http or https URL', ...options })
const BaseUrl = (fallback: string) => Url({ format: 'base-url', default: fallback })
const Choice = <const Name extends string>(names: readonly Name[], fallback: Name) =>
  Type.Union(
    names.map((name) => Type.Literal(name)),
    { default: fallback, description: `one of ${names.join(', ')}` }
  )

/** Every environment variable that the gateway reads. `.env.example` names the same ones. */
export const Env = Type.Object({
  HOST: Type.String({ minLength: 1, default: '0.0.0.0' }),
  PORT: Port(3000),
  ADMIN_HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  ADMIN_PORT: Port(3001),
  PUBLIC_URL: BaseUrl('http://localhost:3000'),
  TRUST_PROXY: Type.String({
    format: 'trust-proxy',
    description: 'true, false, or comma-separated addresses and ranges',
    default: 'false'
  }),
  DATABASE_URL: Type.String({
    format: 'database-url',
    description: 'sqlite:<path> or postgres://<user>:<password>@<host>:<port>/<database>',
    default: 'sqlite:data/gateway.db'
  }),
  REDIS_URL: Type.Optional(
    Type.String({
      format: 'redis-url',
      description: 'redis://<user>:<password>@<host>:<port>/<database>, or rediss://…'
    })
  ),
  VAULT_KEYS: Type.String(),
  HIGHLEVEL_API_URL: BaseUrl('https://services.leadconnectorhq.com'),
  HIGHLEVEL_API_VERSION: Type.String({
    pattern: '^[A-Za-z0-9.-]{1,32}$',
    description: 'a version such as 2021-07-28',
    default: '2021-07-28'
  }),
  HIGHLEVEL_CLIENT_ID: Type.Optional(Type.String({ minLength: 1 })),
  HIGHLEVEL_CLIENT_SECRET: Type.Optional(Type.String({ minLength: 1 })),
  HIGHLEVEL_INSTALL_URL: Type.Optional(Url()),
  HIGHLEVEL_SCOPES: Type.String({
    minLength: 1,
    default: 'objects/schema.readonly objects/record.readonly objects/record.write oauth.readonly oauth.write'
  }),
  HIGHLEVEL_WEBHOOK_KEY: Type.String({
    format: 'webhook-key',
    description: 'an Ed25519 public key in PEM or base64',
    default: HIGHLEVEL_WEBHOOK_KEY
  }),
  CALLER_JWKS_URL: Type.Optional(Url()),
  CALLER_JWT_ISSUER: Type.Optional(Type.String({ minLength: 1 })),
  CALLER_JWT_AUDIENCE: Type.Optional(Type.String({ minLength: 1 })),
  CALLER_LOCATIONS_CLAIM: Type.String({ minLength: 1, default: 'locations' }),
  CALLER_RATE_MAX: IntegerBetween(1, 1_000_000_000, 300),
  CALLER_RATE_WINDOW_MS: Milliseconds(60_000),
  LOCATION_BURST_MAX: IntegerBetween(1, 1_000_000_000, 100),
  LOCATION_BURST_WINDOW_MS: Milliseconds(10_000),
  LOCATION_DAILY_MAX: IntegerBetween(0, 1_000_000_000, 200_000),
  LOCATION_QUEUE_MAX: IntegerBetween(0, 1_000_000, 200),
  REQUEST_DEADLINE_MS: Milliseconds(15_000),
  UPSTREAM_TIMEOUT_MS: Milliseconds(10_000),
  SCHEMA_VALIDATION: Choice(['enforce', 'off'], 'enforce'),
  WRITE_DIALECT: Choice(['delta', 'verbatim'], 'delta'),
  BODY_LIMIT_BYTES: IntegerBetween(1_024, 16_777_216, 262_144),
  CORS_ORIGINS: Type.Optional(
    Type.String({ format: 'origins', description: '* or comma-separated origins such as https://app.example.com' })
  ),
  LOG_LEVEL: Choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info'),
  SHUTDOWN_GRACE_MS: Milliseconds(10_000)
})

const validator = Compile(Env)

/** Variables that must be set together. */
const requiredTogether: readonly (readonly string[])[] = [
  ['HIGHLEVEL_CLIENT_ID', 'HIGHLEVEL_CLIENT_SECRET'],
  ['CALLER_JWKS_URL', 'CALLER_JWT_ISSUER', 'CALLER_JWT_AUDIENCE']
]

const schemaOf = (name: string) =>
  Env.properties[name as keyof typeof Env.properties] as { type?: string; description?: string }

const schemaErrors = (candidate: unknown): string[] =>
  validator.Errors(candidate).flatMap(({ instancePath, keyword, params }) => {
    if (keyword === 'required') return params.requiredProperties.map((name) => `${name} is required`)
    const name = instancePath.slice(1)
    return [`${name} must be ${schemaOf(name).description ?? 'a non-empty string'}`]
  })

const missingErrors = (present: Record<string, unknown>): string[] =>
  requiredTogether.flatMap((names) => {
    const missing = names.filter((name) => present[name] === undefined)
    const given = names.filter((name) => !missing.includes(name)).join(' and ')
    return given === '' ? [] : missing.map((name) => `${name} must be set together with ${given}`)
  })

const ANY_ADDRESS: readonly unknown[] = ['0.0.0.0', '::']

/** Checked here because the second listener's EADDRINUSE would not say which variables collide. */
const portErrors = ({ HOST, PORT, ADMIN_HOST, ADMIN_PORT }: Record<string, unknown>): string[] => {
  const shareAddress = HOST === ADMIN_HOST || [HOST, ADMIN_HOST].some((host) => ANY_ADDRESS.includes(host))
  return typeof PORT === 'number' && PORT === ADMIN_PORT && PORT !== 0 && shareAddress
    ? ['ADMIN_PORT must differ from PORT']
    : []
}

/** Accepts digits only: TypeBox's converter would read `true` as 1 and `3000.7` as 3000. */
const parseVariable = ([name, text]: [string, string | undefined]): [string, unknown] => [
  name,
  schemaOf(name).type === 'integer' && /^\d{1,15}$/.test(text ?? '') ? Number(text) : text
]

/** The parsed variables: numbers are numbers, and defaults are filled in. */
export type Environment = Static<typeof Env>

/**
 * Parses and checks the variables. An empty one counts as absent: compose files pass unset variables as empty ones.
 * Throws one Error that names every invalid variable, never its value.
 */
export function readEnvironment(environment: NodeJS.ProcessEnv): Environment {
  const isPresent = ([name, value]: [string, unknown]) => name in Env.properties && value !== ''
  const present = Object.fromEntries(Object.entries(environment).filter(isPresent))
  const candidate = validator.Default(Object.fromEntries(Object.entries(present).map(parseVariable)))
  const errors = new Set([
    ...schemaErrors(candidate),
    ...missingErrors(present),
    ...portErrors(candidate as Record<string, unknown>),
    ...parseVaultKeys(present['VAULT_KEYS']).errors.map((error) => `VAULT_KEYS ${error}`)
  ])
  if (errors.size > 0) throw new Error(`Invalid configuration: ${[...errors].join('; ')}`)
  return candidate as Environment
}

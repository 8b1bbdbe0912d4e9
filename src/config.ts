import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseVaultKeys, type VaultKey } from './tokens/cipher.ts'

const Port = (fallback: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: fallback })
const Millis = (fallback: number) => Type.Integer({ minimum: 1, maximum: 86_400_000, default: fallback })
const Url = (options: { default?: string } = {}) => Type.String({ pattern: '^https?://[^\\s/]+', ...options })

/** Every environment variable that the gateway reads. `.env.example` names the same ones. */
export const Env = Type.Object({
  HOST: Type.String({ minLength: 1, default: '0.0.0.0' }),
  PORT: Port(3000),
  ADMIN_HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  ADMIN_PORT: Port(3001),
  PUBLIC_URL: Url({ default: 'http://localhost:3000' }),
  TRUST_PROXY: Type.String({ minLength: 1, default: 'false' }),
  DATABASE_URL: Type.String({ pattern: '^sqlite:.+', default: 'sqlite:data/gateway.db' }),
  VAULT_KEYS: Type.String(),
  HIGHLEVEL_API_URL: Url({ default: 'https://services.leadconnectorhq.com' }),
  HIGHLEVEL_API_VERSION: Type.String({ pattern: '^[A-Za-z0-9.-]{1,32}$', default: '2021-07-28' }),
  HIGHLEVEL_CLIENT_ID: Type.Optional(Type.String({ minLength: 1 })),
  HIGHLEVEL_CLIENT_SECRET: Type.Optional(Type.String({ minLength: 1 })),
  HIGHLEVEL_INSTALL_URL: Type.Optional(Url()),
  HIGHLEVEL_SCOPES: Type.String({
    minLength: 1,
    default: 'objects/schema.readonly objects/record.readonly objects/record.write oauth.readonly oauth.write'
  }),
  CALLER_JWKS_URL: Type.Optional(Url()),
  CALLER_JWT_ISSUER: Type.Optional(Type.String({ minLength: 1 })),
  CALLER_JWT_AUDIENCE: Type.Optional(Type.String({ minLength: 1 })),
  CALLER_LOCATIONS_CLAIM: Type.String({ minLength: 1, default: 'locations' }),
  CALLER_RATE_MAX: Type.Integer({ minimum: 1, default: 300 }),
  CALLER_RATE_WINDOW_MS: Millis(60_000),
  REQUEST_DEADLINE_MS: Millis(15_000),
  UPSTREAM_TIMEOUT_MS: Millis(10_000),
  WRITE_DIALECT: Type.Union([Type.Literal('delta'), Type.Literal('verbatim')], { default: 'delta' }),
  BODY_LIMIT_BYTES: Type.Integer({ minimum: 1024, maximum: 16_777_216, default: 262_144 }),
  CORS_ORIGINS: Type.Optional(Type.String({ minLength: 1 })),
  LOG_LEVEL: Type.Union(
    (['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const).map((level) => Type.Literal(level)),
    { default: 'info' }
  ),
  SHUTDOWN_GRACE_MS: Millis(10_000)
})

export type Config = Readonly<Omit<Static<typeof Env>, 'VAULT_KEYS'> & { vaultKeys: readonly VaultKey[] }>

const env = Compile(Env)

/** Variables that make sense only together. */
const together = [
  ['HIGHLEVEL_CLIENT_ID', 'HIGHLEVEL_CLIENT_SECRET'],
  ['CALLER_JWKS_URL', 'CALLER_JWT_ISSUER', 'CALLER_JWT_AUDIENCE']
] as const

const expected = (name: string): string => {
  const schema: {
    type?: unknown
    pattern?: unknown
    minimum?: unknown
    maximum?: unknown
    anyOf?: { const?: unknown }[]
  } = Env.properties[name as keyof typeof Env.properties] ?? {}
  if (schema.anyOf) return `must be one of ${schema.anyOf.map((choice) => String(choice.const)).join(', ')}`
  if (schema.type === 'integer')
    return `must be a whole number${schema.minimum === undefined ? '' : ` of at least ${schema.minimum}`}${schema.maximum === undefined ? '' : ` and at most ${schema.maximum}`}`
  return schema.pattern === undefined ? 'must not be empty' : `must match ${schema.pattern}`
}

/**
 * Reads the environment once. An empty variable counts as absent, as compose files write it.
 * Throws one Error that names every fault by variable, never by value.
 */
export function loadConfig(environment: NodeJS.ProcessEnv): Config {
  const present = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => name in Env.properties && value !== '')
  )
  const candidate = env.Default(env.Convert({ ...present }))
  const faults = new Set<string>()

  for (const { instancePath, keyword, params } of env.Errors(candidate)) {
    if (keyword === 'required') for (const name of params.requiredProperties) faults.add(`${name} is required`)
    else faults.add(`${instancePath.slice(1).split('/')[0]} ${expected(instancePath.slice(1))}`)
  }
  for (const names of together) {
    const missing = names.filter((name) => present[name] === undefined)
    if (missing.length > 0 && missing.length < names.length) {
      for (const name of missing)
        faults.add(`${name} is required beside ${names.filter((other) => present[other] !== undefined).join(' and ')}`)
    }
  }
  const keys = parseVaultKeys(present['VAULT_KEYS'] ?? '')
  if (present['VAULT_KEYS'] !== undefined) for (const fault of keys.faults) faults.add(`VAULT_KEYS ${fault}`)

  if (faults.size > 0) throw new Error(`Invalid configuration: ${[...faults].join('; ')}`)
  const { VAULT_KEYS: _, ...rest } = candidate as Static<typeof Env>
  return Object.freeze({
    ...rest,
    PUBLIC_URL: rest.PUBLIC_URL.replace(/\/+$/, ''),
    HIGHLEVEL_API_URL: rest.HIGHLEVEL_API_URL.replace(/\/+$/, ''),
    vaultKeys: keys.keys
  })
}

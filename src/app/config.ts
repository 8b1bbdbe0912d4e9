import type { KeyObject } from 'node:crypto'
import type { JwtOptions } from '../callers/jwt.ts'
import { parseVaultKeys, type VaultKey } from '../grants/vault/cipher.ts'
import { parseWebhookKey } from '../webhooks/signature.ts'
import { type Environment, readEnvironment } from './environment-variables.ts'
import { parseOrigins, parseTrustProxy } from './setting-formats.ts'

/** All settings, read once from the environment. */
export interface Config {
  readonly publicServer: {
    readonly host: string
    readonly port: number
    /** The URL at which callers and browsers reach it, without a trailing slash. */
    readonly url: string
    /** The value of Fastify's option of the same name. */
    readonly trustProxy: boolean | string[]
    /** In the form in which browsers send them, or `['*']`. `undefined` turns CORS off. */
    readonly corsOrigins: string[] | undefined
  }
  readonly adminServer: { readonly host: string; readonly port: number }
  readonly bodyLimitBytes: number
  readonly requestDeadlineMs: number
  readonly shutdownGraceMs: number
  readonly logLevel: Environment['LOG_LEVEL']
  readonly vault: { readonly url: string; readonly keys: readonly VaultKey[] }
  readonly redisUrl: string | undefined
  readonly highLevel: {
    /** Without a trailing slash. */
    readonly apiUrl: string
    readonly apiVersion: string
    readonly timeoutMs: number
    readonly webhookKey: KeyObject
    /** The marketplace app. Absent if only private tokens are used: then no location can install it. */
    readonly app:
      | { readonly clientId: string; readonly clientSecret: string; readonly installUrl: string | undefined }
      | undefined
    readonly scopes: string
  }
  readonly callers: {
    /** Absent if only API keys are accepted. */
    readonly jwt: JwtOptions | undefined
    readonly rateLimit: { readonly max: number; readonly windowMs: number }
  }
  readonly quota: {
    readonly burstMax: number
    readonly windowMs: number
    readonly dayMax: number
    readonly queueMax: number
  }
  readonly writes: {
    /** Whether values are checked against the schema of the object. */
    readonly checks: boolean
    /** Whether values are translated into HighLevel's dialect. */
    readonly translates: boolean
  }
}

const withoutTrailingSlash = (url: string) => url.replace(/\/+$/, '')

const readApp = (env: Environment): Config['highLevel']['app'] =>
  env.HIGHLEVEL_CLIENT_ID === undefined || env.HIGHLEVEL_CLIENT_SECRET === undefined
    ? undefined
    : {
        clientId: env.HIGHLEVEL_CLIENT_ID,
        clientSecret: env.HIGHLEVEL_CLIENT_SECRET,
        installUrl: env.HIGHLEVEL_INSTALL_URL
      }

const readJwt = ({ CALLER_JWKS_URL, CALLER_JWT_ISSUER, CALLER_JWT_AUDIENCE, CALLER_LOCATIONS_CLAIM }: Environment) =>
  CALLER_JWKS_URL === undefined || CALLER_JWT_ISSUER === undefined || CALLER_JWT_AUDIENCE === undefined
    ? undefined
    : {
        jwksUrl: CALLER_JWKS_URL,
        issuer: CALLER_JWT_ISSUER,
        audience: CALLER_JWT_AUDIENCE,
        locationsClaim: CALLER_LOCATIONS_CLAIM
      }

/** Reads the environment once. Throws one Error that names every invalid variable, never its value. */
export function loadConfig(environment: NodeJS.ProcessEnv): Config {
  const env = readEnvironment(environment)
  return Object.freeze({
    publicServer: {
      host: env.HOST,
      port: env.PORT,
      url: withoutTrailingSlash(env.PUBLIC_URL),
      trustProxy: parseTrustProxy(env.TRUST_PROXY),
      corsOrigins: env.CORS_ORIGINS === undefined ? undefined : parseOrigins(env.CORS_ORIGINS)
    },
    adminServer: { host: env.ADMIN_HOST, port: env.ADMIN_PORT },
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    requestDeadlineMs: env.REQUEST_DEADLINE_MS,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    logLevel: env.LOG_LEVEL,
    vault: { url: env.DATABASE_URL, keys: parseVaultKeys(env.VAULT_KEYS).keys },
    redisUrl: env.REDIS_URL,
    highLevel: {
      apiUrl: withoutTrailingSlash(env.HIGHLEVEL_API_URL),
      apiVersion: env.HIGHLEVEL_API_VERSION,
      timeoutMs: env.UPSTREAM_TIMEOUT_MS,
      // readEnvironment has checked that it parses.
      webhookKey: parseWebhookKey(env.HIGHLEVEL_WEBHOOK_KEY) as KeyObject,
      app: readApp(env),
      scopes: env.HIGHLEVEL_SCOPES
    },
    callers: {
      jwt: readJwt(env),
      rateLimit: { max: env.CALLER_RATE_MAX, windowMs: env.CALLER_RATE_WINDOW_MS }
    },
    quota: {
      burstMax: env.LOCATION_BURST_MAX,
      windowMs: env.LOCATION_BURST_WINDOW_MS,
      dayMax: env.LOCATION_DAILY_MAX,
      queueMax: env.LOCATION_QUEUE_MAX
    },
    writes: { checks: env.SCHEMA_VALIDATION === 'enforce', translates: env.WRITE_DIALECT === 'delta' }
  })
}

import type { KeyObject } from 'node:crypto'
import type { JwtOptions } from '../callers/jwt.ts'
import { parseVaultKeys, type VaultKey } from '../grants/vault/cipher.ts'
import { parseOrigins } from '../http/cors-origins.ts'
import { parseTrustProxy } from '../http/trust-proxy.ts'
import { parseWebhookKey } from '../webhooks/signature.ts'
import { type Environment, readEnvironment } from './environment.ts'

/** Everything that can be configured, made once from the environment. */
export interface Config {
  readonly publicServer: {
    readonly host: string
    readonly port: number
    /** Where callers and browsers reach it, without a slash at the end. */
    readonly url: string
    /** In Fastify's form. */
    readonly trustProxy: boolean | string[]
    /** As browsers send them, or `['*']`; `undefined` turns CORS off. */
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
    /** Without a slash at the end. */
    readonly apiUrl: string
    readonly apiVersion: string
    readonly timeoutMs: number
    readonly webhookKey: KeyObject
    /** Absent where only private tokens are used: nobody can install an app then. */
    readonly app:
      | { readonly clientId: string; readonly clientSecret: string; readonly installUrl: string | undefined }
      | undefined
    readonly scopes: string
  }
  readonly callers: {
    /** Absent where only API keys are taken. */
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
    /** Values are checked against the location's object. */
    readonly checks: boolean
    /** Values are translated into the form that HighLevel takes. */
    readonly translates: boolean
  }
}

const withoutSlash = (url: string) => url.replace(/\/+$/, '')

const appOf = (env: Environment): Config['highLevel']['app'] =>
  env.HIGHLEVEL_CLIENT_ID === undefined || env.HIGHLEVEL_CLIENT_SECRET === undefined
    ? undefined
    : {
        clientId: env.HIGHLEVEL_CLIENT_ID,
        clientSecret: env.HIGHLEVEL_CLIENT_SECRET,
        installUrl: env.HIGHLEVEL_INSTALL_URL
      }

const jwtOf = ({ CALLER_JWKS_URL, CALLER_JWT_ISSUER, CALLER_JWT_AUDIENCE, CALLER_LOCATIONS_CLAIM }: Environment) =>
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
      url: withoutSlash(env.PUBLIC_URL),
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
      apiUrl: withoutSlash(env.HIGHLEVEL_API_URL),
      apiVersion: env.HIGHLEVEL_API_VERSION,
      timeoutMs: env.UPSTREAM_TIMEOUT_MS,
      // Its format was checked.
      webhookKey: parseWebhookKey(env.HIGHLEVEL_WEBHOOK_KEY) as KeyObject,
      app: appOf(env),
      scopes: env.HIGHLEVEL_SCOPES
    },
    callers: {
      jwt: jwtOf(env),
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

/** Options of the simulator. The defaults are HighLevel's documented values. */
export interface SimulatorOptions {
  host?: string
  /** 0 picks a free port. */
  port?: number
  /** The clock, in epoch milliseconds. Tests move it. */
  now?: () => number
  /** A separate clock for the dates of records. Default: `now`. */
  recordNow?: () => number
  /** How long a spent refresh token still yields the tokens that replaced it. 0: it is invalid at once. */
  graceMs?: number
  /** `expires_in` of tokens from /oauth/token. */
  accessTtlSeconds?: number
  burstMax?: number
  burstWindowMs?: number
  dailyMax?: number
  /** When the day of the daily limit begins, in milliseconds after midnight UTC. */
  dayStartsMs?: number
  /** The form of Retry-After in a 429. HighLevel documents no such header. */
  retryAfter?: 'none' | 'seconds' | 'date'
  /** Members to leave out of answers to code exchanges, such as `refresh_token` after a reinstall. */
  omitted?: string[]
  /** The status for a record that does not exist. HighLevel documents no 404 for it. */
  absentRecordStatus?: 400 | 404
  clientId?: string
  clientSecret?: string
}

export type Settings = Required<SimulatorOptions>

const DEFAULTS: Omit<Settings, 'recordNow'> = {
  host: '127.0.0.1',
  port: 0,
  now: Date.now,
  graceMs: 30_000,
  accessTtlSeconds: 86_399,
  burstMax: 100,
  burstWindowMs: 10_000,
  dailyMax: 200_000,
  omitted: [],
  dayStartsMs: 0,
  retryAfter: 'none',
  absentRecordStatus: 404,
  clientId: '66f0a1b2c3d4e5f6a7b8c9d0-sandbox',
  clientSecret: 'sandbox-client-secret'
}

export function withDefaults(options: SimulatorOptions): Settings {
  const now = options.now ?? DEFAULTS.now
  return { ...DEFAULTS, recordNow: now, ...options }
}

/** HighLevel's app id, which it also calls the version id: the client id up to its last hyphen. */
export const appIdOf = (clientId: string): string => clientId.replace(/-[^-]*$/, '')

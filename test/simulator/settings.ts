/** How the simulator is started. What is left out takes its documented HighLevel value. */
export interface SimulatorOptions {
  host?: string
  /** 0 takes any free port. */
  port?: number
  /** The clock in epoch milliseconds; a test moves it. */
  now?: () => number
  /** The dates of records, where they are not to follow the clock. */
  recordNow?: () => number
  /** How long a used refresh token still yields the pair that replaced it; 0 means that it is dead at once. */
  graceMs?: number
  /** `expires_in` of the tokens from /oauth/token. */
  accessTtlSeconds?: number
  burstMax?: number
  burstWindowMs?: number
  dailyMax?: number
  /** When a day begins, in milliseconds after midnight UTC. */
  dayStartsMs?: number
  /** How a 429 says when to come again; HighLevel documents none. */
  retryAfter?: 'none' | 'seconds' | 'date'
  /** Members that answers to code exchanges lack, such as `refresh_token` of a reinstall. */
  omitted?: string[]
  /** What a record that is not there is answered with; HighLevel documents no 404 for it. */
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

/** Who calls, and for which locations. */
export interface Caller {
  id: string
  locations: ReadonlySet<string> | '*'
  /** Epoch milliseconds at which the credential ends by itself. */
  expiresAt: number
}

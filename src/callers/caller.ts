/** An authenticated caller, and the locations that it has access to. */
export interface Caller {
  id: string
  locations: ReadonlySet<string> | '*'
  /** When the credential expires, in epoch milliseconds. */
  expiresAt: number
}

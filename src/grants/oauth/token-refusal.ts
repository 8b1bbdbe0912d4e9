/**
 * `invalid-grant`: the token or code is spent or unknown, for good. `unrecognized`: HighLevel refused the refresh in
 * unknown words, which may mean the same. `in-progress`: HighLevel is processing the same refresh. `inactive`: the
 * location is paused, and the same token works again later. `refused`: any other reason, such as client credentials.
 */
export type RefusalKind = 'invalid-grant' | 'unrecognized' | 'in-progress' | 'inactive' | 'refused'

interface Extras {
  /** The access token of the request is invalid: a new one may help. Not set for a missing scope or version. */
  isTokenFault?: boolean
  /** The grant ended with a refusal in unknown words: HighLevel is asked again now and then. */
  isUnrecognized?: boolean
}

/** HighLevel's token endpoint refused. The message quotes its words, with the secrets of the request removed. */
export class TokenRefusal extends Error {
  override readonly name = 'TokenRefusal'
  readonly kind: RefusalKind
  /** HTTP status; 0 if no request was sent. */
  readonly status: number
  readonly isTokenFault: boolean
  readonly isUnrecognized: boolean

  constructor(
    kind: RefusalKind,
    status: number,
    description: string,
    { isTokenFault = false, isUnrecognized = false }: Extras = {}
  ) {
    // The message is stored, logged and printed to terminals.
    const printable = description.replace(/\p{Cc}/gu, ' ').slice(0, 200)
    super(status === 0 ? printable : `HighLevel's token endpoint answered ${status}: ${printable}`)
    this.kind = kind
    this.status = status
    this.isTokenFault = isTokenFault
    this.isUnrecognized = isUnrecognized
  }
}

/** Turns a refusal into one that ends the grant, once recovery has found no other way to tokens. */
export function toInvalidGrant(refusal: TokenRefusal): TokenRefusal {
  if (refusal.kind === 'invalid-grant') return refusal
  const final = new TokenRefusal('invalid-grant', 0, refusal.message, { isUnrecognized: true })
  final.cause = refusal
  return final
}

/** HighLevel says, or may mean, that the refresh token is spent or unknown. Other ways to tokens are tried then. */
export const mayEndGrant = (error: unknown): error is TokenRefusal =>
  error instanceof TokenRefusal && (error.kind === 'invalid-grant' || error.kind === 'unrecognized')

/**
 * `invalid-grant`: what was presented is spent or unknown, and will be for ever. `unrecognized`: the refresh was refused
 * in words that are not known, which may mean the same. `in-progress`: HighLevel is busy with the same refresh.
 * `inactive`: the location is paused, and the same token works again later. `refused`: another reason, such as client
 * credentials.
 */
export type RefusalKind = 'invalid-grant' | 'unrecognized' | 'in-progress' | 'inactive' | 'refused'

interface Extras {
  /** The access token that asked is dead: a new one may help. A scope or a version that is missing is no such fault. */
  isTokenFault?: boolean
  /** The words that ended the grant are not known ones: HighLevel is asked again now and then. */
  isDoubtful?: boolean
}

/** HighLevel's token endpoints said no. The message holds its words, without what was presented. */
export class TokenRefusal extends Error {
  override readonly name = 'TokenRefusal'
  readonly kind: RefusalKind
  /** HTTP status; 0 where HighLevel was not asked. */
  readonly status: number
  readonly isTokenFault: boolean
  readonly isDoubtful: boolean

  constructor(
    kind: RefusalKind,
    status: number,
    said: string,
    { isTokenFault = false, isDoubtful = false }: Extras = {}
  ) {
    // It is stored, logged and shown in terminals.
    const plain = said.replace(/\p{Cc}/gu, ' ').slice(0, 200)
    super(status === 0 ? plain : `HighLevel's token endpoint answered ${status}: ${plain}`)
    this.kind = kind
    this.status = status
    this.isTokenFault = isTokenFault
    this.isDoubtful = isDoubtful
  }
}

/** The same refusal as one that has ended the grant, after all that could say otherwise was asked. */
export function ended(refusal: TokenRefusal): TokenRefusal {
  if (refusal.kind === 'invalid-grant') return refusal
  const final = new TokenRefusal('invalid-grant', 0, refusal.message, { isDoubtful: true })
  final.cause = refusal
  return final
}

/** The refresh token is of no use, by HighLevel's words or perhaps so: then other ways to a token are tried. */
export const speaksOfGrant = (error: unknown): error is TokenRefusal =>
  error instanceof TokenRefusal && (error.kind === 'invalid-grant' || error.kind === 'unrecognized')

/**
 * `invalid-grant`: what was presented is spent or unknown, and will be for ever. `inactive`: the location is paused,
 * and the same token works again later. `refused`: HighLevel refused for another reason, such as client credentials.
 */
export type RefusalKind = 'invalid-grant' | 'inactive' | 'refused'

/** HighLevel's token endpoints said no. The message holds its words, without what was presented. */
export class TokenRefusal extends Error {
  override readonly name = 'TokenRefusal'
  readonly kind: RefusalKind
  /** The access token that asked is dead: a new one may help. A scope or a version that is missing is no such fault. */
  readonly isTokenFault: boolean

  /** `status` is 0 where HighLevel was not asked. */
  constructor(kind: RefusalKind, status: number, said: string, isTokenFault = false) {
    // It is stored, logged and shown in terminals.
    const plain = said.replace(/\p{Cc}/gu, ' ').slice(0, 200)
    super(status === 0 ? plain : `HighLevel's token endpoint answered ${status}: ${plain}`)
    this.kind = kind
    this.isTokenFault = isTokenFault
  }
}

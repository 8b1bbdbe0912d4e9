import { randomUUID } from 'node:crypto'
import { belongsTo, type Holder, type LocationHolder } from './holders.ts'

export interface AccessToken {
  holder: Holder
  /** A private integration token: static, created by a person, independent of installs. */
  isPrivate: boolean
  expiresAt: number
  /** The app was removed from the location after this token was issued: the token is rejected with 403. */
  uninstalled: boolean
}

/** All valid access tokens, with private integration tokens. */
export function createAccessTokens(now: () => number) {
  const tokens = new Map<string, AccessToken>()
  const tokensOf = (locationId: string | undefined) =>
    [...tokens].filter(([, token]) => belongsTo(token.holder, locationId))

  return {
    add(text: string, holder: Holder, expiresAt: number): void {
      tokens.set(text, { holder, isPrivate: false, expiresAt, uninstalled: false })
    },
    addPrivate(holder: LocationHolder): string {
      const text = `pit-${randomUUID()}`
      tokens.set(text, { holder, isPrivate: true, expiresAt: Number.POSITIVE_INFINITY, uninstalled: false })
      return text
    },
    find(text: string): AccessToken | undefined {
      const token = tokens.get(text)
      return token !== undefined && token.expiresAt > now() ? token : undefined
    },
    expireOne(text: string): void {
      const token = tokens.get(text)
      if (token !== undefined) token.expiresAt = 0
    },
    expire(locationId?: string): void {
      for (const [, token] of tokensOf(locationId)) if (!token.isPrivate) token.expiresAt = 0
    },
    revoke(locationId?: string): void {
      for (const [text] of tokensOf(locationId)) tokens.delete(text)
    },
    uninstall(locationId: string): void {
      for (const [, token] of tokensOf(locationId)) token.uninstalled = !token.isPrivate
    }
  }
}

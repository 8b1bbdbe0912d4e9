import { belongsTo, type Holder } from './holders.ts'

const TTL_MS = 365 * 86_400_000

export interface Pair {
  accessToken: string
  refreshToken: string
  refreshTokenId: string
  expiresIn: number
}

interface RefreshToken {
  holder: Holder
  expiresAt: number
  used?: { at: number; pair: Pair }
}

interface Deps {
  now: () => number
  graceMs: number
}

/** All refresh tokens. Each works once, and again within the grace, when it yields the same tokens as before. */
export function createRefreshTokens({ now, graceMs }: Deps) {
  const tokens = new Map<string, RefreshToken>()
  const inGrace = (token: RefreshToken | undefined) => token?.used !== undefined && now() - token.used.at < graceMs

  return {
    add(text: string, holder: Holder): void {
      tokens.set(text, { holder, expiresAt: now() + TTL_MS })
    },
    /** Who the token was issued to. `undefined` if it is unknown, expired, or spent and past its grace. */
    holderOf(text: string): Holder | undefined {
      const token = tokens.get(text)
      if (token === undefined || token.expiresAt <= now()) return undefined
      return token.used === undefined || inGrace(token) ? token.holder : undefined
    },
    /** The tokens that this one was exchanged for, if it is spent and within its grace. */
    pairInGrace(text: string): Pair | undefined {
      const token = tokens.get(text)
      return inGrace(token) ? token?.used?.pair : undefined
    },
    use(text: string, pair: Pair): void {
      const token = tokens.get(text)
      if (token !== undefined) token.used = { at: now(), pair }
    },
    /** The refresh tokens of one install of the location, each obtained with the one before. */
    chain(locationId: string): string[] {
      const texts = [...tokens].filter(([, { holder }]) => belongsTo(holder, locationId)).map(([text]) => text)
      const successors = new Set(texts.map((text) => tokens.get(text)?.used?.pair.refreshToken))
      const chain: string[] = []
      let next = texts.find((text) => !successors.has(text))
      while (next !== undefined) {
        chain.push(next)
        next = tokens.get(next)?.used?.pair.refreshToken
      }
      return chain
    },
    revoke(locationId?: string): void {
      for (const [text, { holder }] of tokens) if (belongsTo(holder, locationId)) tokens.delete(text)
    }
  }
}

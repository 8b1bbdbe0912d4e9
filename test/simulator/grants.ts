import { randomBytes } from 'node:crypto'
import { createAccessTokens } from './access-tokens.ts'
import { createFakeJwt } from './fake-jwt.ts'
import type { Holder } from './holders.ts'
import type { Locations } from './locations.ts'
import { createRefreshTokens, type Pair } from './refresh-tokens.ts'
import type { Settings } from './settings.ts'

/** Everything issued to the app: authorization codes, access tokens and refresh tokens. */
export function createGrants(settings: Settings, locations: Locations) {
  const { now, graceMs, clientId } = settings
  const codes = new Map<string, Holder>()
  const access = createAccessTokens(now)
  const refresh = createRefreshTokens({ now, graceMs })

  function issueCode(holder: Holder): string {
    const code = randomBytes(20).toString('hex')
    codes.set(code, holder)
    return code
  }

  function issuePair(holder: Holder, expiresIn = settings.accessTtlSeconds): Pair {
    const issuedAt = now()
    const authClassId = holder.userType === 'Location' ? holder.locationId : holder.companyId
    const claims = { authClass: holder.userType, authClassId, scopes: locations.scopesOf(holder), clientId, issuedAt }
    const expiresAt = issuedAt + expiresIn * 1000
    const accessToken = createFakeJwt({ ...claims, expiresAt })
    const refreshToken = createFakeJwt({ ...claims, expiresAt: issuedAt + 365 * 86_400_000 })

    access.add(accessToken, holder, expiresAt)
    refresh.add(refreshToken, holder)
    if (holder.userType === 'Location') locations.install(holder.locationId)
    return { accessToken, refreshToken, refreshTokenId: randomBytes(12).toString('hex'), expiresIn }
  }

  return { codes, access, refresh, issueCode, issuePair }
}

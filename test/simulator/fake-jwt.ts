import { randomBytes } from 'node:crypto'
import { appIdOf } from './settings.ts'

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const HEADER = encode({ alg: 'RS256', typ: 'JWT' })

interface Claims {
  authClass: 'Location' | 'Company'
  authClassId: string
  scopes: string[]
  clientId: string
  issuedAt: number
  expiresAt: number
}

/**
 * A token with the format and length of HighLevel's JWTs. Its signature is random and never verified: the simulator
 * keeps a list of the tokens that it issued.
 */
export function createFakeJwt({ authClass, authClassId, scopes, clientId, issuedAt, expiresAt }: Claims): string {
  const payload = encode({
    authClass,
    authClassId,
    source: 'INTEGRATION',
    sourceId: clientId,
    channel: 'OAUTH',
    primaryAuthClassId: authClassId,
    oauthMeta: { scopes, client: appIdOf(clientId) },
    iat: Math.floor(issuedAt / 1000),
    exp: Math.floor(expiresAt / 1000)
  })
  return `${HEADER}.${payload}.${randomBytes(256).toString('base64url')}`
}

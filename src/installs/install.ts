import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { GrantSaves } from '../tokens/grant-saves.ts'
import { type Issued, type OAuthApi, TokenRefusal } from '../tokens/oauth-api.ts'
import type { Grant, Vault } from '../tokens/vault.ts'

/** What an install has connected. */
export type Connected = { locationId: string } | { companyId: string; locationIds: string[] }

interface Deps {
  oauth: OAuthApi
  grants: Pick<GrantSaves, 'load' | 'save'>
  /** Asked before the code is spent, so that it still counts when the store is back. */
  ping: Vault['ping']
  /** Drops what the process remembers of a location. */
  forget: (locationId: string) => void
  now: () => number
  log: BaseLogger
}

type Draft = Pick<Grant, 'subject' | 'kind' | 'companyId' | 'tokens' | 'scopes'>

/**
 * Turns the code of an install into grants. What was installed is decided by the answer's `userType`, never by what
 * was asked for: an app for sub-accounts installed from the agency view yields a Company token.
 */
export function createInstall({ oauth, grants, ping, forget, now, log }: Deps) {
  /** An install is newer than whatever is held, but never unseen: it follows the generation that it replaces. */
  const replace = async (draft: Draft): Promise<void> => {
    for (;;) {
      const held = await grants.load(draft.subject)
      // A location that has tokens of its own keeps them when its company is connected.
      if (draft.tokens === null && held?.tokens && held.state === 'connected') return
      const next = {
        ...draft,
        state: 'connected' as const,
        stateSince: now(),
        stateReason: null,
        generation: held?.generation ?? 0
      }
      const inForce = await grants.save(next)
      if (inForce?.tokens?.accessToken === draft.tokens?.accessToken) return
    }
  }

  const ready = async (): Promise<void> => {
    try {
      await ping()
    } catch (cause) {
      throw new Problem('vault-unavailable', 'The connection cannot be stored now: open this page again in a minute', {
        retryAfterSeconds: 5,
        cause
      })
    }
  }

  const exchange = async (code: string): Promise<Issued> => {
    try {
      return await oauth.exchangeCode(code)
    } catch (cause) {
      if (!(cause instanceof TokenRefusal)) throw cause
      log.warn({ err: cause }, 'an install could not be finished')
      if (cause.kind === 'invalid-grant')
        throw new Problem('invalid-request', 'HighLevel does not know this code: it counts once and for a short time', {
          cause
        })
      throw new Problem(
        'upstream-unavailable',
        'HighLevel refused to finish the install: an operator finds why in the log',
        { retryAfterSeconds: 60, cause }
      )
    }
  }

  const company = async (companyId: string, issued: Issued): Promise<Connected> => {
    const scopes = issued.scope ?? ''
    await replace({ subject: `company:${companyId}`, kind: 'oauth', companyId, tokens: issued.tokens, scopes })
    const listed = issued.approvedLocations ?? (await oauth.installedLocations(issued.tokens.accessToken, companyId))
    const locationIds = [...new Set(listed)]
    for (const locationId of locationIds) {
      // Without tokens: they are minted with the first call.
      await replace({ subject: `location:${locationId}`, kind: 'minted', companyId, tokens: null, scopes })
      forget(locationId)
    }
    log.info({ companyId, locations: locationIds.length }, 'a company was connected')
    return { companyId, locationIds }
  }

  /** Rejects with a Problem. Resolves once the grant is stored. */
  return async function install(code: string): Promise<Connected> {
    await ready()
    const issued = await exchange(code)
    const { userType, locationId, companyId = null, tokens, scope = '' } = issued
    if (userType === 'Company' && companyId !== null) return company(companyId, issued)
    if (locationId === undefined)
      throw new Problem('upstream-unreadable', 'HighLevel’s token names neither a location nor a company')

    await replace({ subject: `location:${locationId}`, kind: 'oauth', companyId, tokens, scopes: scope })
    forget(locationId)
    log.info({ location: locationId }, 'a location was connected')
    return { locationId }
  }
}

export type Install = ReturnType<typeof createInstall>

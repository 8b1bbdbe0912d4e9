import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { GrantSaves } from '../tokens/grant-saves.ts'
import type { Issued, OAuthApi } from '../tokens/oauth-api.ts'
import { TokenRefusal } from '../tokens/token-refusal.ts'
import type { Grant, Subject, Vault } from '../tokens/vault.ts'

const LOAD_ATTEMPTS = 60
const LOAD_PAUSE_MS = 500

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
  /** The code is spent and the tokens are nowhere else: a store that fails now is waited for. */
  const loadPatiently = async (subject: Subject): Promise<Grant | undefined> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await grants.load(subject)
      } catch (err) {
        if (attempt === LOAD_ATTEMPTS) throw err
        log.error({ subject, err }, 'a new grant waits for the store')
        await sleep(LOAD_PAUSE_MS)
      }
    }
  }

  /** An install is newer than whatever is held, but never unseen: it follows the generation that it replaces. */
  const replace = async (draft: Draft): Promise<void> => {
    for (;;) {
      const held = await loadPatiently(draft.subject)
      // A location that has tokens of its own keeps them when its company is connected.
      if (draft.tokens === null && held?.tokens && held.state === 'connected') return
      const state = { state: 'connected', stateSince: now(), stateReason: null } as const
      const inForce = await grants.save({ ...draft, ...state, generation: held?.generation ?? 0 })
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

  /** The company is connected already when this is asked: that HighLevel does not say now must not undo it. */
  const locationsOf = async (companyId: string, { approvedLocations = [], tokens }: Issued): Promise<string[]> => {
    if (approvedLocations.length > 0) return [...new Set(approvedLocations)]
    return oauth.installedLocations(tokens.accessToken, companyId).catch((err) => {
      log.error({ companyId, err }, 'the locations of a company cannot be listed')
      return []
    })
  }

  const company = async (companyId: string, issued: Issued): Promise<Connected> => {
    const scopes = issued.scope ?? ''
    await replace({ subject: `company:${companyId}`, kind: 'oauth', companyId, tokens: issued.tokens, scopes })
    const locationIds = await locationsOf(companyId, issued)
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

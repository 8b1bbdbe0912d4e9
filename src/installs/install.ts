import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { FollowUps } from '../tokens/follow-ups.ts'
import type { Subject } from '../tokens/grant.ts'
import type { GrantSaves } from '../tokens/grant-saves.ts'
import type { Issued, OAuthApi } from '../tokens/oauth-api.ts'
import { renewAt } from '../tokens/schedule.ts'
import { TokenRefusal } from '../tokens/token-refusal.ts'
import type { Vault } from '../tokens/vault.ts'

/** What an install has connected. */
export type Connected = { locationId: string } | { companyId: string; locationIds: string[] }

interface Deps {
  oauth: OAuthApi
  saves: Pick<GrantSaves, 'install'>
  /** Does again what could not be done now. */
  follow: FollowUps['follow']
  /** `proveWritable` is asked before the code is spent, so that it still counts when the store is back. */
  vault: Pick<Vault, 'proveWritable' | 'enrolLocation' | 'wakeCompany'>
  /** Drops what the process remembers of a location. */
  forget: (locationId: string) => void
  now: () => number
  log: BaseLogger
}

/**
 * Turns the code of an install into grants. What was installed is decided by the answer's `userType`, never by what
 * was asked for: an app for sub-accounts installed from the agency view yields a Company token.
 */
export function createInstall({ oauth, saves, follow, vault, forget, now, log }: Deps) {
  const ready = async (): Promise<void> => {
    try {
      await vault.proveWritable()
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

  /** The code is spent and the tokens are nowhere else: what the store does not take now is held until it does. */
  const save = (subject: Subject, companyId: string | null, { tokens, scope = '' }: Issued) => {
    const stateSince = now()
    const fruit = { subject, kind: 'oauth', companyId, tokens, scopes: scope, stateSince, proven: true } as const
    return saves.install({ ...fruit, dueAt: renewAt(tokens) }, stateSince)
  }

  const locationsOf = async (companyId: string, { approvedLocations = [], tokens }: Issued): Promise<string[]> =>
    approvedLocations.length > 0
      ? [...new Set(approvedLocations)]
      : oauth.installedLocations(tokens.accessToken, companyId)

  /** Their tokens are minted with their first calls. A location that has tokens of its own keeps them. */
  const enrol = async (companyId: string, issued: Issued): Promise<string[]> => {
    await vault.wakeCompany(companyId, now())
    const locationIds = await locationsOf(companyId, issued)
    for (const locationId of locationIds) {
      await vault.enrolLocation(locationId, companyId, now(), { dueAt: null, waits: false })
      forget(locationId)
    }
    return locationIds
  }

  const company = async (companyId: string, issued: Issued): Promise<Connected> => {
    const { saved } = await save(`company:${companyId}`, companyId, issued)
    // The company is connected already: that its locations cannot be had now must not undo it.
    const locationIds = await enrol(companyId, issued).catch((err) => {
      log.error({ companyId, err }, 'the locations of a company could not be connected')
      follow('the locations of a company could not be connected', async () => {
        await saved
        await enrol(companyId, issued)
      })
      return []
    })
    log.info({ companyId, locations: locationIds.length }, 'a company was connected')
    return { companyId, locationIds }
  }

  /** Rejects with a Problem. Resolves once the grant is stored, or held in memory until it can be. */
  return async function install(code: string): Promise<Connected> {
    await ready()
    const issued = await exchange(code)
    const { userType, locationId, companyId = null } = issued
    if (userType === 'Company' && companyId !== null) return company(companyId, issued)
    if (locationId === undefined)
      throw new Problem('upstream-unreadable', 'HighLevel’s token names neither a location nor a company')

    await save(`location:${locationId}`, companyId, issued)
    forget(locationId)
    log.info({ location: locationId }, 'a location was connected')
    return { locationId }
  }
}

export type Install = ReturnType<typeof createInstall>

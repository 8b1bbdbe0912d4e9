import type { BaseLogger } from 'pino'
import type { GrantSummary } from '../grants/grant.ts'
import type { Issued, OAuthClient } from '../grants/oauth/oauth-client.ts'
import type { BackgroundRetries } from '../grants/renewal/background-retries.ts'
import { credentialHash } from '../grants/vault/credential-hash.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem } from '../problems/problem.ts'
import { createSingleFlight } from '../shared/single-flight.ts'
import type { ExchangeCode } from './exchange-code.ts'
import type { Exchanged, RenewedBy, SaveInstall } from './save-install.ts'
import { scopeWarnings } from './scopes.ts'

/** What an install has connected; `expiresAt` is the access token's. */
export type Connected = ({ locationId: string } | { companyId: string; locationIds: string[] }) & {
  renewedBy: RenewedBy
  expiresAt: number | null
  warnings: string[]
}

/** What became of an install that was finished before: the callback was opened again. */
export type Standing = Pick<GrantSummary, 'subject' | 'state' | 'stateSince'> & { warnings: string[] }

interface Deps {
  oauth: Pick<OAuthClient, 'installedLocations'>
  exchange: ExchangeCode
  save: SaveInstall
  /** Does again what could not be done now. */
  follow: BackgroundRetries['follow']
  vault: Pick<Vault, 'addMintedLocation' | 'rescheduleCompany'>
  /** Drops what the process remembers of a location. */
  forget: (locationId: string) => void
  now: () => number
  log: BaseLogger
}

const standingOf = ({ subject, state, stateSince, scopes }: GrantSummary): Standing => {
  return { subject, state, stateSince, warnings: scopeWarnings(scopes, subject.startsWith('company:')) }
}

/**
 * Turns the code of an install into grants. What was installed is decided by the answer's `userType`, never by what
 * was asked for: an app for sub-accounts installed from the agency view yields a Company token.
 */
export function createInstall({ oauth, exchange, save, follow, vault, forget, now, log }: Deps) {
  const locationsOf = async (companyId: string, { approvedLocations = [], tokens }: Issued): Promise<string[]> =>
    approvedLocations.length > 0
      ? [...new Set(approvedLocations)]
      : oauth.installedLocations(tokens.accessToken, companyId)

  /** Their tokens are minted with their first calls. A location that has tokens of its own keeps them. */
  const enrol = async (companyId: string, issued: Issued): Promise<string[]> => {
    await vault.rescheduleCompany(companyId, now())
    const locationIds = await locationsOf(companyId, issued)
    for (const locationId of locationIds) {
      await vault.addMintedLocation(locationId, companyId, now(), { dueAt: null, waits: false })
      forget(locationId)
    }
    return locationIds
  }

  const connect = async (exchanged: Exchanged) => {
    const { subject, issued } = exchanged
    const { renewedBy, saved } = await save(exchanged)
    const warnings = scopeWarnings(issued.scope ?? '', subject.startsWith('company:'))
    if (renewedBy !== 'own' || warnings.length > 0)
      log.warn({ subject, renewedBy, scopes: issued.scope }, 'HighLevel granted less than an install needs')
    return { saved, told: { renewedBy, expiresAt: issued.tokens.expiresAt, warnings } }
  }

  const company = async (id: string, companyId: string, issued: Issued): Promise<Connected> => {
    const { saved, told } = await connect({ id, subject: `company:${companyId}`, companyId, issued })
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
    return { companyId, locationIds, ...told }
  }

  const finish = async (id: string, code: string): Promise<Connected | Standing> => {
    const issued = await exchange(id, code)
    if ('subject' in issued) return standingOf(issued)
    const { userType, locationId, companyId = null } = issued
    // Where the answer does not say whose token it is, one that names no location is a company's.
    const isCompany = userType === 'Company' || (userType === undefined && locationId === undefined)
    if (isCompany && companyId !== null) return company(id, companyId, issued)
    if (locationId === undefined)
      throw new Problem('upstream-unreadable', 'HighLevel’s token names neither a location nor a company')

    const { told } = await connect({ id, subject: `location:${locationId}`, companyId, issued })
    forget(locationId)
    log.info({ location: locationId }, 'a location was connected')
    return { locationId, ...told }
  }

  const fly = createSingleFlight<Connected | Standing>()
  /**
   * Rejects with a Problem. Resolves once the grant is stored, or held in memory until it can be. A code is exchanged
   * once: opened again, by a link scanner or the same person, the callback is told what it has led to. Whoever knows
   * code and state is who installed.
   */
  return function install(code: string, state: string): Promise<Connected | Standing> {
    const id = credentialHash(`${code} ${state}`)
    return fly(id, () => finish(id, code))
  }
}

export type Install = ReturnType<typeof createInstall>

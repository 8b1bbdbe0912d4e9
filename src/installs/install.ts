import type { BaseLogger } from 'pino'
import type { GrantSummary } from '../grants/grant.ts'
import type { OAuthClient, TokenResponse } from '../grants/oauth/oauth-client.ts'
import type { BackgroundRetries } from '../grants/renewal/background-retries.ts'
import { credentialHash } from '../grants/vault/credential-hash.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { createSingleFlight } from '../shared/single-flight.ts'
import type { ExchangeCode } from './exchange-code.ts'
import type { ExchangedCode, RenewedBy, SaveInstall } from './save-install.ts'
import { scopeWarnings } from './scopes.ts'

/** What an install has connected. `expiresAt` is the access token's, in epoch milliseconds. */
export type NewConnection = ({ locationId: string } | { companyId: string; locationIds: string[] }) & {
  renewedBy: RenewedBy
  expiresAt: number | null
  warnings: string[]
}

/** The current state of an install that was finished before, for a callback that is opened again. */
export type EarlierInstall = Pick<GrantSummary, 'subject' | 'state' | 'stateSince'> & { warnings: string[] }

interface Deps {
  oauth: Pick<OAuthClient, 'installedLocations'>
  exchangeCode: ExchangeCode
  saveInstall: SaveInstall
  /** Runs work again in the background until it succeeds. */
  retryInBackground: BackgroundRetries['start']
  vault: Pick<Vault, 'addMintedLocation' | 'rescheduleCompany'>
  /** Drops the cached token of a location. */
  dropCachedToken: (locationId: string) => void
  clock: Clock
  log: BaseLogger
}

const describeEarlier = ({ subject, state, stateSince, scopes }: GrantSummary): EarlierInstall => {
  return { subject, state, stateSince, warnings: scopeWarnings(scopes, subject.startsWith('company:')) }
}

/**
 * Turns the authorization code of an install into grants. The `userType` of HighLevel's answer decides what was
 * installed, not what was requested: installing a sub-account app from the agency view yields a Company token.
 */
export function createInstall(deps: Deps) {
  const { oauth, exchangeCode, saveInstall, retryInBackground, vault, dropCachedToken, clock, log } = deps

  const locationsOf = async (
    companyId: string,
    { approvedLocations = [], tokens }: TokenResponse
  ): Promise<string[]> =>
    approvedLocations.length > 0
      ? [...new Set(approvedLocations)]
      : oauth.installedLocations(tokens.accessToken, companyId)

  /** Their tokens are minted on their first calls. A location that has tokens of its own keeps them. */
  const addLocations = async (companyId: string, issued: TokenResponse): Promise<string[]> => {
    await vault.rescheduleCompany(companyId, clock.now())
    const locationIds = await locationsOf(companyId, issued)
    for (const locationId of locationIds) {
      await vault.addMintedLocation(locationId, companyId, clock.now(), { dueAt: null, waitsForCompany: false })
      dropCachedToken(locationId)
    }
    return locationIds
  }

  const saveGrant = async (exchanged: ExchangedCode) => {
    const { subject, issued } = exchanged
    const { renewedBy, saved } = await saveInstall(exchanged)
    const warnings = scopeWarnings(issued.scope ?? '', subject.startsWith('company:'))
    if (renewedBy !== 'new-token' || warnings.length > 0)
      log.warn({ subject, renewedBy, scopes: issued.scope }, 'an install lacks a refresh token or a scope')
    return { saved, summary: { renewedBy, expiresAt: issued.tokens.expiresAt, warnings } }
  }

  const connectCompany = async (
    installId: string,
    companyId: string,
    issued: TokenResponse
  ): Promise<NewConnection> => {
    const { saved, summary } = await saveGrant({ installId, subject: `company:${companyId}`, companyId, issued })
    // The company is connected. If its locations cannot be listed or added now, that must not undo the install.
    const locationIds = await addLocations(companyId, issued).catch((err) => {
      const message = 'the locations of a company could not be connected'
      log.error({ companyId, err }, message)
      retryInBackground(message, async () => {
        await saved
        await addLocations(companyId, issued)
      })
      return []
    })
    log.info({ companyId, locations: locationIds.length }, 'a company was connected')
    return { companyId, locationIds, ...summary }
  }

  const finishInstall = async (installId: string, code: string): Promise<NewConnection | EarlierInstall> => {
    const issued = await exchangeCode(installId, code)
    if ('subject' in issued) return describeEarlier(issued)
    const { userType, locationId, companyId = null } = issued
    // Without a `userType`, a token that names no location is a company's.
    const isCompany = userType === 'Company' || (userType === undefined && locationId === undefined)
    if (isCompany && companyId !== null) return connectCompany(installId, companyId, issued)
    if (locationId === undefined)
      throw new Problem('upstream-unreadable', 'HighLevel’s token names neither a location nor a company')

    const { summary } = await saveGrant({ installId, subject: `location:${locationId}`, companyId, issued })
    dropCachedToken(locationId)
    log.info({ location: locationId }, 'a location was connected')
    return { locationId, ...summary }
  }

  const singleFlight = createSingleFlight<NewConnection | EarlierInstall>()

  /**
   * Resolves once the grant is saved, or is held in memory until it can be saved. Rejects with a Problem.
   *
   * A code is exchanged once. If the callback is opened again, by a link scanner or by the same person, it gets the
   * current state of the install. Only whoever installed the app knows both code and state, so both identify it.
   */
  return function install(code: string, state: string): Promise<NewConnection | EarlierInstall> {
    const installId = credentialHash(`${code} ${state}`)
    return singleFlight(installId, () => finishInstall(installId, code))
  }
}

export type Install = ReturnType<typeof createInstall>

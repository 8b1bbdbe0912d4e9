import type { BaseLogger } from 'pino'
import { isUsable } from '../grants/grant.ts'
import type { OAuthClient } from '../grants/oauth/oauth-client.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'

/** Shorter than HighLevel waits for an answer to a webhook. After an error HighLevel delivers it again. */
const ANSWER_WITHIN_MS = 8_000

interface Deps {
  vault: Pick<Vault, 'findGrant' | 'listCompanies' | 'loadGrant'>
  /** Absent if the gateway has no client credentials. */
  oauth: Pick<OAuthClient, 'installedLocations'> | undefined
  clock: Clock
  log: BaseLogger
}

const companyUnknown = () =>
  new Problem('upstream-unavailable', 'HighLevel cannot say now which company the location belongs to', {
    retryAfterSeconds: 60
  })

/**
 * Finds the company of a location for an install webhook without `companyId`. HighLevel sends such webhooks when an app
 * is installed for future locations as well.
 */
export function createFindCompany({ vault, oauth, clock, log }: Deps) {
  /** `undefined`: the locations of the company cannot be listed now. */
  const hasLocation = async (companyId: string, locationId: string): Promise<boolean | undefined> => {
    try {
      const company = await vault.loadGrant(`company:${companyId}`)
      if (oauth === undefined || company === undefined || !isUsable(company, clock.now())) return undefined
      return (await oauth.installedLocations(company.tokens.accessToken, companyId)).includes(locationId)
    } catch (err) {
      log.warn({ companyId, err }, 'the locations of a company cannot be listed')
      return undefined
    }
  }

  const searchCompanies = async (companyIds: readonly string[], locationId: string): Promise<string | undefined> => {
    const answers = await Promise.all(companyIds.map((id) => hasLocation(id, locationId)))
    const index = answers.indexOf(true)
    if (index === -1 && answers.includes(undefined)) throw companyUnknown()
    return companyIds[index]
  }

  /**
   * If one company is connected, that one, unverified (`isCertain` is false): the first mint shows whether it is right.
   * If several are connected, the one that lists the location. `undefined` if none does, or if the location has tokens
   * already. Rejects with a Problem if HighLevel cannot be asked now.
   */
  return async (locationId: string): Promise<{ companyId: string; isCertain: boolean } | undefined> => {
    const grant = await vault.findGrant(`location:${locationId}`)
    if (grant !== undefined && grant.state !== 'uninstalled' && grant.state !== 'reconnect-required') return undefined
    const [first, ...others] = await vault.listCompanies()
    if (first === undefined) return undefined
    if (others.length === 0) return { companyId: first, isCertain: false }
    const timeout = clock.sleep(ANSWER_WITHIN_MS, { ref: false }).then(() => Promise.reject(companyUnknown()))
    const companyId = await Promise.race([searchCompanies([first, ...others], locationId), timeout])
    return companyId === undefined ? undefined : { companyId, isCertain: true }
  }
}

export type FindCompany = ReturnType<typeof createFindCompany>

import type { Config } from '../app/config.ts'

const CHOOSE_LOCATION = 'https://marketplace.gohighlevel.com/v2/oauth/chooselocation'

type InstallConfig = Pick<Config, 'HIGHLEVEL_CLIENT_ID' | 'HIGHLEVEL_INSTALL_URL' | 'HIGHLEVEL_SCOPES' | 'PUBLIC_URL'>

/**
 * HighLevel's page on which an administrator chooses a location. The whole URL can be configured, because white-label
 * apps use a domain of their own and only HighLevel knows the links of private apps.
 */
export function installUrl({
  HIGHLEVEL_CLIENT_ID: clientId = '',
  HIGHLEVEL_INSTALL_URL,
  HIGHLEVEL_SCOPES,
  PUBLIC_URL
}: InstallConfig): string {
  if (HIGHLEVEL_INSTALL_URL !== undefined) return HIGHLEVEL_INSTALL_URL
  const url = new URL(CHOOSE_LOCATION)
  url.search = new URLSearchParams({
    response_type: 'code',
    redirect_uri: `${PUBLIC_URL}/oauth/callback`,
    client_id: clientId,
    scope: HIGHLEVEL_SCOPES,
    // The app's id. Without it HighLevel answers error.noversionid for a private app.
    version_id: clientId.split('-')[0] ?? clientId
  }).toString()
  return url.href
}

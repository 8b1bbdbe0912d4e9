const CHOOSE_LOCATION = 'https://marketplace.gohighlevel.com/v2/oauth/chooselocation'

interface App {
  clientId: string
  /** The whole URL, if it is configured. */
  installUrl: string | undefined
  /** Space-separated. */
  scopes: string
  publicUrl: string
}

/**
 * HighLevel's page on which an administrator chooses a location. The whole URL can be configured, because white-label
 * apps use a domain of their own and only HighLevel knows the links of private apps.
 */
export function installUrl({ clientId, installUrl: configured, scopes, publicUrl }: App): string {
  if (configured !== undefined) return configured
  const url = new URL(CHOOSE_LOCATION)
  url.search = new URLSearchParams({
    response_type: 'code',
    redirect_uri: `${publicUrl}/oauth/callback`,
    client_id: clientId,
    scope: scopes,
    // The app's id. Without it HighLevel answers error.noversionid for a private app.
    version_id: clientId.split('-')[0] ?? clientId
  }).toString()
  return url.href
}

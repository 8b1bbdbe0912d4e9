/** The location or company that a token was issued to. */
export type Holder = LocationHolder | CompanyHolder

export interface LocationHolder {
  userType: 'Location'
  companyId: string
  locationId: string
  /** Minted with an agency's token at /oauth/locationToken. */
  minted: boolean
}

export interface CompanyHolder {
  userType: 'Company'
  companyId: string
  approvedLocations: string[] | undefined
  bulk: boolean
}

/** Whether the holder is this location. True for every holder if `locationId` is undefined. */
export const belongsTo = (holder: Holder, locationId: string | undefined): boolean =>
  locationId === undefined || (holder.userType === 'Location' && holder.locationId === locationId)

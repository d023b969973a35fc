/* words: everything the page says, in each language. The checker holds the Vietnamese catalogue to
 * the shape of the English one, and so does a test. SPDX-License-Identifier: MIT */
// @ts-check

/** @param {number} ms */
function span(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) {
    return { n: s, unit: /** @type {const} */ ('s') };
  }
  if (s < 3600) {
    return { n: Math.floor(s / 60), unit: /** @type {const} */ ('min') };
  }
  if (s < 48 * 3600) {
    return { n: Math.floor(s / 3600), unit: /** @type {const} */ ('h') };
  }
  return { n: Math.floor(s / 86400), unit: /** @type {const} */ ('d') };
}

const en = {
  locale: 'en-GB',
  static: {
    skip: 'Skip to the numbers',
    heading: 'Crypto market summary',
    refresh: 'Refresh',
    dark: 'Dark',
    btc_price: 'Bitcoin price',
    btc_change_24h: 'Change in 24 hours',
    market_cap: 'Market cap, all coins',
    volume_24h: 'Volume in 24 hours',
    fear_greed_index: 'Fear and greed index',
    rsi_14: 'RSI-14 of Bitcoin, daily',
    trace: 'Price since this page was opened',
    fear_end: '0 extreme fear',
    greed_end: 'extreme greed 100',
    oversold_end: '0 oversold',
    overbought_end: 'overbought 100',
    fng_credit: 'Index by',
    credits: 'Data:',
    coingecko: 'Market data by CoinGecko',
    advice: 'Not investment advice.',
    health: 'Health',
    json: 'These numbers as JSON',
    docs: 'API description',
    prices: 'Live prices',
    col_symbol: 'Symbol',
    col_price: 'Price, USD',
    col_change: '24 h',
    col_high: 'High 24 h',
    col_low: 'Low 24 h',
    col_spread: 'Spread',
    col_feeds: 'Feeds',
    col_state: 'Age',
    region_market: 'Whole market',
    region_sentiment: 'Sentiment',
    region_mode: 'Kind of data',
  },
  fear: ['Extreme Fear', 'Fear', 'Neutral', 'Greed', 'Extreme Greed'],
  rsi: ['Oversold', 'Neutral', 'Overbought'],
  mode: {
    waiting: 'Waiting for data',
    live: 'Live market data',
    demo: 'Simulated data',
    replay: 'Recorded data, replayed',
  },
  halted: 'Last known market data',
  modeDetail: {
    waiting: '',
    live: '',
    demo: 'Nothing here is a real price.',
    replay: 'These are not the prices of now.',
  },
  titleMark: { waiting: '', live: '', demo: 'SIMULATED: ', replay: 'REPLAY: ' },
  transport: { websocket: 'WebSocket', http: 'HTTP, every 10 s', none: 'no connection' },
  pillHint: 'Connection to the server. Press to test it or to connect at once.',
  /** @param {number} ms */
  age(ms) {
    const { n, unit } = span(ms);
    return `${n} ${unit} ago`;
  },
  /** @param {number} ms */
  limit(ms) {
    const { n, unit } = span(ms);
    return `${n} ${unit}`;
  },
  freshness: { fresh: 'fresh', ageing: 'ageing', stale: 'stale', old: 'stale', unknown: 'unknown' },
  unknown: 'Not known yet.',
  noSource: 'source not named',
  ageUnknown: 'age unknown',
  /** @param {string} limit */
  tooOld: (limit) => `older than ${limit}`,
  lastFetchFailed: 'the last fetch failed',
  /** @param {number} closes */
  computed: (closes) => (closes ? `computed from ${closes} daily closes` : 'computed from daily closes'),
  refreshing: 'Asking the server to fetch anew…',
  refreshed: 'Fetched anew.',
  notRefreshed: 'Nothing newer could be fetched.',
  noAnswer: 'The server did not answer the request to refresh.',
  unreachable: "The server can't be reached. This page keeps trying.",
  polling: 'The WebSocket does not get through. The numbers are asked for over HTTP every 10 s instead.',
  tracePoints: (/** @type {number} */ n, /** @type {string} */ low, /** @type {string} */ high) =>
    `${n} prices between ${low} and ${high}.`,
  traceEmpty: 'No prices yet.',
  short: { high: 'High', low: 'Low', spread: 'Spread', feeds: 'Feeds' },
  /** @type {Record<string, string>} the server's reasons in this language; others are shown as they come */
  priceReasons: {
    'no feed has said anything yet': 'no feed has said anything yet',
    'no feed has said a price yet': 'no feed has said a price yet',
    'it has said nothing yet': 'the feed has said nothing yet',
    'it has said no price yet': 'the feed has said no price yet',
    'it has been silent for too long': 'the feed has been silent for too long',
    'the connection broke': 'the connection to the feed broke',
    'the connection was refused': 'the connection to the feed was refused',
  },
  noPrices: 'No prices yet.',
  lastPrices: 'Last known prices.',
  /** @param {number} n */
  pricesNote: (n) => `${n} symbols. Each price is the median of the feeds used, spread the highest of them against the lowest.`,
  notSaid: 'No feed says it.',
  oneFeed: 'Only one feed: nothing to compare.',
  noFeed: 'no feed is used now',
  lost: 'the connection to the server was lost',
  notUsed: 'not used',
};

/** @type {typeof en} */
const vi = {
  locale: 'vi-VN',
  static: {
    skip: 'Đến phần số liệu',
    heading: 'Tổng quan thị trường tiền mã hóa',
    refresh: 'Làm mới',
    dark: 'Tối',
    btc_price: 'Giá Bitcoin',
    btc_change_24h: 'Thay đổi trong 24 giờ',
    market_cap: 'Vốn hóa toàn thị trường',
    volume_24h: 'Khối lượng trong 24 giờ',
    fear_greed_index: 'Chỉ số sợ hãi và tham lam',
    rsi_14: 'RSI-14 của Bitcoin, theo ngày',
    trace: 'Giá kể từ khi mở trang này',
    fear_end: '0 cực kỳ sợ hãi',
    greed_end: 'cực kỳ tham lam 100',
    oversold_end: '0 quá bán',
    overbought_end: 'quá mua 100',
    fng_credit: 'Chỉ số của',
    credits: 'Dữ liệu:',
    coingecko: 'Dữ liệu thị trường từ CoinGecko',
    advice: 'Không phải lời khuyên đầu tư.',
    health: 'Tình trạng hệ thống',
    json: 'Số liệu này dạng JSON',
    docs: 'Mô tả API',
    prices: 'Giá trực tiếp',
    col_symbol: 'Mã',
    col_price: 'Giá, USD',
    col_change: '24 giờ',
    col_high: 'Cao 24 giờ',
    col_low: 'Thấp 24 giờ',
    col_spread: 'Lệch',
    col_feeds: 'Nguồn',
    col_state: 'Cách đây',
    region_market: 'Toàn thị trường',
    region_sentiment: 'Tâm lý thị trường',
    region_mode: 'Loại dữ liệu',
  },
  fear: ['Cực kỳ sợ hãi', 'Sợ hãi', 'Trung lập', 'Tham lam', 'Cực kỳ tham lam'],
  rsi: ['Quá bán', 'Trung lập', 'Quá mua'],
  mode: {
    waiting: 'Đang chờ dữ liệu',
    live: 'Dữ liệu thị trường trực tiếp',
    demo: 'Dữ liệu mô phỏng',
    replay: 'Dữ liệu ghi sẵn, phát lại',
  },
  halted: 'Dữ liệu thị trường biết được gần nhất',
  modeDetail: {
    waiting: '',
    live: '',
    demo: 'Không có giá nào ở đây là giá thật.',
    replay: 'Đây không phải giá hiện tại.',
  },
  titleMark: { waiting: '', live: '', demo: 'MÔ PHỎNG: ', replay: 'PHÁT LẠI: ' },
  transport: { websocket: 'WebSocket', http: 'HTTP, mỗi 10 giây', none: 'không có kết nối' },
  pillHint: 'Kết nối với máy chủ. Nhấn để kiểm tra hoặc kết nối ngay.',
  age(ms) {
    return `${this.limit(ms)} trước`;
  },
  limit(ms) {
    const { n, unit } = span(ms);
    return `${n} ${{ s: 'giây', min: 'phút', h: 'giờ', d: 'ngày' }[unit]}`;
  },
  freshness: { fresh: 'mới', ageing: 'sắp cũ', stale: 'đã cũ', old: 'đã cũ', unknown: 'chưa biết' },
  unknown: 'Chưa có dữ liệu.',
  noSource: 'không rõ nguồn',
  ageUnknown: 'không rõ thời điểm',
  tooOld: (limit) => `cũ hơn ${limit}`,
  lastFetchFailed: 'lần lấy gần nhất không thành công',
  computed: (closes) => (closes ? `tính từ ${closes} giá đóng cửa ngày` : 'tính từ giá đóng cửa ngày'),
  refreshing: 'Đang yêu cầu máy chủ lấy dữ liệu mới…',
  refreshed: 'Đã lấy dữ liệu mới.',
  notRefreshed: 'Chưa lấy được dữ liệu mới hơn.',
  noAnswer: 'Máy chủ không trả lời yêu cầu làm mới.',
  unreachable: 'Không liên lạc được với máy chủ. Trang sẽ tiếp tục thử.',
  polling: 'Kết nối WebSocket không thông. Số liệu được lấy qua HTTP mỗi 10 giây.',
  tracePoints: (n, low, high) => `${n} mức giá trong khoảng ${low} đến ${high}.`,
  traceEmpty: 'Chưa có giá nào.',
  short: { high: 'Cao', low: 'Thấp', spread: 'Lệch', feeds: 'Nguồn' },
  priceReasons: {
    'no feed has said anything yet': 'chưa nguồn nào gửi dữ liệu',
    'no feed has said a price yet': 'chưa nguồn nào gửi giá',
    'it has said nothing yet': 'nguồn chưa gửi dữ liệu',
    'it has said no price yet': 'nguồn chưa gửi giá',
    'it has been silent for too long': 'nguồn im lặng quá lâu',
    'the connection broke': 'kết nối với nguồn bị ngắt',
    'the connection was refused': 'kết nối với nguồn bị từ chối',
  },
  noPrices: 'Chưa có giá nào.',
  lastPrices: 'Giá biết được gần nhất.',
  pricesNote: (n) => `${n} mã. Mỗi giá là trung vị của các nguồn được dùng; lệch là nguồn cao nhất so với thấp nhất.`,
  notSaid: 'Không nguồn nào cho biết.',
  oneFeed: 'Chỉ có một nguồn: không có gì để so sánh.',
  noFeed: 'hiện không dùng nguồn nào',
  lost: 'mất kết nối với máy chủ',
  notUsed: 'không dùng',
};

export const words = { en, vi };

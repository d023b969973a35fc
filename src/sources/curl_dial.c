/* SPDX-License-Identifier: MIT */
#include "sources/curl_dial.h"

#include "wire/http1.h"

/* Results of a verification as OpenSSL counts them (x509_vfy.h): curl hands them on. A name that
 * does not fit is found by curl itself, which leaves "unspecified". */
enum { VERIFY_OK, VERIFY_UNSPECIFIED, VERIFY_NOT_YET = 9, VERIFY_EXPIRED = 10 };

bool curl_dial_set(CURL *easy, const struct outward *o, struct str scheme, struct str host)
{
    struct outward_proxy proxy = outward_proxy_of(o, getenv, scheme, host);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                     1L); /* no waiting for a name that does not resolve */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "coincast");
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy.url ? proxy.url : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* it was looked at above */
    if (o && o->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, o->ca_file);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
    }
    return proxy.url != NULL;
}

static const char *why_not_verified(CURL *easy, bool proxied, char *room, size_t room_len)
{
    long result = VERIFY_OK, of_proxy = VERIFY_OK;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
    curl_easy_getinfo(easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &of_proxy);
    /* The peer's own comes after the proxy's, which must have been good by then. */
    bool is_proxys = proxied && of_proxy != VERIFY_OK;
    const char *what = NULL;
    switch (is_proxys ? of_proxy : result) {
    case VERIFY_OK:
    case VERIFY_UNSPECIFIED:
        what = "is for another host name";
        break;
    case VERIFY_NOT_YET:
        what = "is not valid yet (or this machine's clock is wrong)";
        break;
    case VERIFY_EXPIRED:
        what = "has expired (or this machine's clock is wrong)";
        break;
    default:
        what = "is not trusted: nobody we trust has issued it";
    }
    snprintf(room, room_len, "the certificate%s %s", is_proxys ? " of the proxy" : "", what);
    return room;
}

/* What a SOCKS proxy answered. */
static const char *why_of_socks(CURL *easy)
{
    long error = CURLPX_OK;
    curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &error);
    switch (error) {
    case CURLPX_USER_REJECTED:
    case CURLPX_NO_AUTH:
    case CURLPX_REQUEST_FAILED:
        return "the proxy refused: it wants another user or password";
    case CURLPX_REPLY_NOT_ALLOWED:
        return "the proxy refused: it does not allow that host";
    case CURLPX_REPLY_CONNECTION_REFUSED:
    case CURLPX_REPLY_HOST_UNREACHABLE:
    case CURLPX_REPLY_NETWORK_UNREACHABLE:
    case CURLPX_REPLY_TTL_EXPIRED:
        return "the proxy cannot reach the host";
    case CURLPX_RESOLVE_HOST:
        return "the host name is not known";
    default:
        return "the proxy failed, or speaks something else";
    }
}

/* Of a proxy that ended the connection, or answered CONNECT with a status. */
static const char *why_of_tunnel(CURL *easy, char *room, size_t room_len)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status >= 200 && status <= 299) {
        return "";
    }
    if (status == 0) {
        return "the proxy ended the connection";
    }
    snprintf(room, room_len, "the proxy refused: %ld %s", status,
             http_status_text((unsigned)status));
    return room;
}

const char *curl_dial_why(CURL *easy, CURLcode code, bool proxied, char *room, size_t room_len)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the host name is not known";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "the host name of the proxy is not known";
    case CURLE_COULDNT_CONNECT:
        return proxied ? "the proxy cannot be connected to" : "the connection was refused";
    case CURLE_PEER_FAILED_VERIFICATION:
        return why_not_verified(easy, proxied, room, room_len);
    case CURLE_SSL_CACERT_BADFILE:
        return "the file of trusted certificates cannot be read";
    case CURLE_SSL_CONNECT_ERROR:
        return "the secure connection failed: there is no TLS, or another version";
    case CURLE_PROXY:
        return why_of_socks(easy);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return proxied ? why_of_tunnel(easy, room, room_len) : "";
    default:
        return "";
    }
}

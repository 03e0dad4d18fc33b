-- For apache.conf: refuses requests that an application might read differently from httpd, for which httpd has no
-- directives, and writes the JSON body of a refusal.

local OPTIONS = { close = true, ["keep-alive"] = true, upgrade = true, te = true }

local function is_ambiguous(r, path)
    -- The body of a refusal is being sent.
    if r.subprocess_env["REDIRECT_STATUS"] then return false end
    -- Many applications read Remote_User and Remote.User as Remote-User; httpd does not.
    for name in pairs(r:headers_in_table()) do
        if name:find("[^%w-]") then return true end
    end
    -- `Connection: Remote-User` would make httpd remove that header after it was set to the value from patd.
    for option in (r.headers_in["Connection"] or ""):lower():gmatch("[^,%s]+") do
        if not OPTIONS[option] then return true end
    end
    -- With another upgrade, a client could send requests to the application that nobody checks.
    local upgrade = r.headers_in["Upgrade"]
    if upgrade and upgrade:lower() ~= "websocket" then return true end
    -- In a path that httpd has decoded and normalized: hidden dot segments, and text that could be decoded again.
    return (path .. "/"):find("/%.%.?[;/]") or path:find("[%c\\]") or path:find("%%%x%x")
end

-- For an application without encoded slashes. With AllowEncodedSlashes off, httpd answers them with 404.
function refuse(r)
    if is_ambiguous(r, r.uri) then return 403 end
    return apache2.DECLINED
end

-- For an application that reads an encoded slash as a character within a segment, with AllowEncodedSlashes NoDecode and
-- nocanon. It gets the unchanged path, which must therefore mean the same as the normalized one that is checked.
function refuse_but_slashes(r)
    local decoded = r.unparsed_uri:match("^[^?]*"):gsub("%%(%x%x)", function(hex)
        local byte = string.char(tonumber(hex, 16))
        return byte ~= "/" and byte or nil
    end)
    local path, slashes = r.uri:gsub("%%2[fF]", "/")
    local differs = decoded ~= r.uri or (slashes > 0 and path:find("//", 1, true))
    if is_ambiguous(r, path) or (differs and not r.subprocess_env["REDIRECT_STATUS"]) then return 403 end
    return apache2.DECLINED
end

local BODIES = {
    ["401"] = '{"message":"Unauthenticated.","code":"unauthenticated"}',
    ["403"] = '{"message":"This request is not allowed.","code":"forbidden"}',
}

-- The body of a refusal. A direct request for it is answered with 404.
function say(r)
    local body = BODIES[r.subprocess_env["REDIRECT_STATUS"]]
    if not body then return 404 end
    r.content_type = "application/json"
    r:puts(body)
    return apache2.OK
end

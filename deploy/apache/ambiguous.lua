-- For apache.conf: refuses what an application might read in another way than httpd does, which has no directives for it,
-- and answers what is refused in JSON.

local OPTIONS = { close = true, ["keep-alive"] = true, upgrade = true, te = true }

local function is_ambiguous(r, path)
    -- The document of a refusal is on its way.
    if r.subprocess_env["REDIRECT_STATUS"] then return false end
    -- Remote_User and Remote.User are Remote-User to many applications, and to httpd they are not.
    for name in pairs(r:headers_in_table()) do
        if name:find("[^%w-]") then return true end
    end
    -- `Connection: Remote-User` would have httpd leave out that header, after it was set to what patd says.
    for option in (r.headers_in["Connection"] or ""):lower():gmatch("[^,%s]+") do
        if not OPTIONS[option] then return true end
    end
    -- With another Upgrade a client could get a connection to the application on which nobody judges.
    local upgrade = r.headers_in["Upgrade"]
    if upgrade and upgrade:lower() ~= "websocket" then return true end
    -- What is left of a path once httpd has decoded and folded it: dots that something hid, and what decodes again.
    return (path .. "/"):find("/%.%.?[;/]") or path:find("[%c\\]") or path:find("%%%x%x")
end

-- For an application that gets no encoded slashes: with AllowEncodedSlashes off, httpd answers them with 404.
function refuse(r)
    if is_ambiguous(r, r.uri) then return 403 end
    return apache2.DECLINED
end

-- For an application that takes an encoded slash for a character within a segment, with AllowEncodedSlashes NoDecode and
-- nocanon. It gets the path as it came, so that must say the same as the decoded and folded one that is judged.
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

-- The document of a refusal. Nobody gets it by asking for it.
function say(r)
    local body = BODIES[r.subprocess_env["REDIRECT_STATUS"]]
    if not body then return 404 end
    r.content_type = "application/json"
    r:puts(body)
    return apache2.OK
end

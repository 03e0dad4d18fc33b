-- Refuses what the application might read in another way than httpd does, which has no directives for it.

local OPTIONS = { close = true, ["keep-alive"] = true, upgrade = true, te = true }

function refuse(r)
    -- Remote_User and Remote.User are Remote-User to many applications, and to httpd they are not.
    for name in pairs(r:headers_in_table()) do
        if name:find("[^%w-]") then return 403 end
    end
    -- `Connection: Remote-User` would have httpd leave out that header, after it was set to what patd says.
    for option in (r.headers_in["Connection"] or ""):lower():gmatch("[^,%s]+") do
        if not OPTIONS[option] then return 403 end
    end
    -- What is left of a path once httpd has decoded and folded it: parameters that hide dots, and what decodes again.
    if r.uri:find("/%.%.?;") or r.uri:find("[%c\\]") or r.uri:find("%%%x%x") then return 403 end
    return apache2.DECLINED
end

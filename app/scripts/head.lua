-- Shared by put.lua and vector.lua: a stored item begins with what the scripts themselves read and write.
-- Returns seq, added_at and deleted as texts; nothing for an item that is not there.
local function head(document)
  if document then
    return string.match(document, '^{"seq":(%d+),"added_at":([^,]+),"deleted":(%a+)')
  end
end

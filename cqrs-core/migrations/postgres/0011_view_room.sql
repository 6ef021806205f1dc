-- A batch of a projection changes many values, and often each value of a page. With room for as many again, the new versions stay
-- in the page and need no new index entries, and the next batch reuses the place of the former ones. With less room, they go to
-- other pages, which takes twice the time, and the table becomes twice as large. Pages that are full already stay as they are.
alter table cqrs.view set (fillfactor = 50);
